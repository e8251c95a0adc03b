"""Every command and snippet of a page really runs: every second page."""

import pytest

from tests.docs.runner import Runner
from tests.docs.story import PAGES, tell


@pytest.fixture(scope="module")
def runner():
    with Runner() as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[::2])
def test_a_page_runs_to_its_end(page, runner, tmp_path):
    wrong = tell(page, tmp_path / "tree", runner)
    assert not wrong, "\n\n".join(["", *wrong])
