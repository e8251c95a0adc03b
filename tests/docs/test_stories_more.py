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


@pytest.mark.slow
@pytest.mark.parametrize("page", HALVES[1])
def test_a_page_runs_to_its_end(page, runner, told, tmp_path):
    wrong = tell(page, tmp_path / "tree", runner, told)
    assert not wrong, "\n\n".join(["", *wrong])
