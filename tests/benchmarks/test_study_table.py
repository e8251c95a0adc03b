"""Tables of studies: what they compare, and that the page has what was found."""

import pytest

from benchmarks import study_table
from benchmarks.studies import STUDIES, base


def test_rows_are_compared_seed_by_seed():
    made = {"seconds": {"train": 1, "evaluate": 1}, "commit": "a", "machine": "b"}

    def row(label, values):
        each = {n: made | {"scores": {"chosen": v}} for n, v in values.items()}
        return study_table._row(label, each)

    found = [row("Used", {0: 50, 1: 60}), row("Uses", {1: 63, 2: 90})]
    of = base.Study(
        "Rows.",
        {"used": base.Row("Used", ()), "uses": base.Row("Uses", ())},
        {"chosen": "chosen", "oracle": "best"},
        against="used",
    )
    head, _, used, uses = study_table._lines(of, found)
    assert head.startswith("| row | chosen | best | chosen, less Used | seeds |")
    assert used.startswith("| Used | 55.0 +- 7.1 |  |  | 0, 1 |")
    assert uses.startswith("| Uses | 76.5 +- 19.1 |  | 3.0 | 1, 2 |")
    assert "less" not in study_table._lines(of, found[1:])[0]


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_shows_what_was_found(name):
    page = study_table.PAGE.read_text()
    told = study_table.section(name, study_table.read(name))
    assert study_table.replaced(page, name, told) == page, (
        f"write it again: python -m benchmarks.study {name} --photos . --seeds"
    )


def test_every_result_is_of_a_row_that_there_is():
    for file in study_table.RESULTS.rglob("*.json"):
        row = file.stem.rpartition("-")[0]
        assert row in STUDIES[file.parent.name].rows, file
