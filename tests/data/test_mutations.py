"""300 damaged folders: what comes out is what must, or one line that names the file."""

import pytest

from tests.data.mutations import MUTATIONS
from tests.data.mutations.base import damage
from tests.data.reading import check_outcome

COUNT, GROUPS = 300, 30
NAMES = sorted(MUTATIONS)


@pytest.mark.parametrize("group", range(GROUPS))
def test_the_very_ids_or_one_line(tmp_path, group):
    failed = []
    for number in range(group, COUNT, GROUPS):
        name, folder = NAMES[number % len(NAMES)], tmp_path / f"n{number}"
        outcome, splits = damage(folder, name, MUTATIONS[name], number)
        problem = check_outcome(outcome, folder, splits)
        if problem:
            failed.append(f"{name} (seed {number}): {problem}")
    assert not failed, "\n" + "\n".join(failed)
