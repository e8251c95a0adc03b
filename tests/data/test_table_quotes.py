"""Quotes in tables of tags as word processors write them."""

import pytest

from ppcjax.data_pipelines.sources import tables
from tests.data.test_tables import FILES, TAGS, refuses, rows_of, tags


@pytest.mark.parametrize("quotes", ["“”", "„“", "«»", "””", "‘’", "‹›", "＂＂"])
@pytest.mark.parametrize("between", [",", ", ", " ", ";"])
def test_curly_quotes_are_quotes(tmp_path, quotes, between):
    begin, end = quotes
    rows = rows_of(("image", "tags"), between.join)
    cells = [(a, f"{begin}{b}{end}") for a, b in rows]
    if quotes in ("‘’", "‹›") and between == " ":
        return  # a single quote around words makes them one name
    sep = ";" if "," in between else ","
    content = "".join(f"{a}{sep}{b}\n" for a, b in cells)
    if quotes not in ("‘’", "‹›"):
        assert tags(tmp_path, content) == TAGS
    listed = between.join if between != " " else ";".join
    content = "".join(
        f"{FILES[key]}\t{listed(f'{begin}{n}{end}' for n in names)}\n"
        for key, names in TAGS.items()
    )
    assert tags(tmp_path, content) == TAGS


def test_apostrophes_and_quotes_in_names_of_photos(tmp_path):
    ids = ("l’été", "“x”")
    found = tags(tmp_path, "l’été.jpg,cow\n“x”.jpg,grass\n", ids=ids)
    assert found == {"l’été": ("cow",), "“x”": ("grass",)}
    assert tags(tmp_path, "l’été.jpg,“cow”\n", ids=ids[:1]) == {"l’été": ("cow",)}
    refuses(tmp_path, "holds '“'", "l’été.jpg,“cow”\n“x”.jpg,grass\n", ids=ids)


def test_words_behind_a_name_in_quotes_are_other_tags(tmp_path):
    file = tmp_path / "tags.csv"
    file.write_text('image,tags\na.jpg,"traffic light" cow\nb.jpg,cow\n')
    table = tables.read_table(file, {"a": 0, "b": 0})
    assert table.tags == {"a": ("traffic light", "cow"), "b": ("cow",)}
