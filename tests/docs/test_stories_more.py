"""Every command and snippet of the other pages runs, so that two processes share."""

import pytest

from tests.docs.runner import Runner
from tests.docs.story import HALVES, tell
from tests.docs.told import Told


@pytest.fixture(scope="module")
def runner():
    with Runner() as started:
        yield started


@pytest.fixture(scope="module")
def told():
    return Told()


# Minutes of training on photos that stand in for others.
LONG = {"docs/results.md"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(x, marks=[pytest.mark.long] * (x in LONG)) for x in HALVES[1]],
)
def test_a_page_runs_to_its_end(page, runner, told, tmp_path):
    wrong = tell(page, tmp_path / "tree", runner, told)
    assert not wrong, "\n\n".join(["", *wrong])
