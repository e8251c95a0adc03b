"""The section "Data" of a report."""

import pytest

from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.sources.base import Reading
from ppcjax.report import data
from tests.data.toy_sources import good, source_of


def account(classes=2, **fields):
    source = source_of(good(classes), classes, reading=Reading(**fields))
    return survey.survey(source, needs="tags").as_json()


@pytest.mark.parametrize("classes", [1, 3, 60])
def test_all_classes_have_a_row(classes):
    html = data.section(account(classes))
    assert html.count('<th scope="row">') == classes + 1
    assert ("<details>" in html) == (classes > 40)


def test_names_are_escaped_and_lists_folded():
    html = data.section(
        account(
            held_out=("<b>1",),
            warnings=("<script>",),
            passed={"<i>": 3},
            splits={"train": 5},
        )
    )
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "<details><summary>1 photo held out by ppcjax</summary>" in html
    assert "train 5" in html and "3 &lt;i&gt;" in html


def test_photos_without_labels_have_no_table():
    read = survey.survey(source_of(good(2)), needs="views").as_json()
    assert "<table" not in data.section(read) and data.section({}) == ""


@pytest.mark.parametrize("count", [1, 1000, 1001, 2500])
def test_long_lists_say_where_the_rest_stands(count):
    html = data.section(account(held_out=tuple(f"p{i}" for i in range(count))))
    assert html.count("<li>") == min(count, 1000)
    noun = "photo" if count == 1 else "photos"
    assert f"<summary>{count:,} {noun} held out by ppcjax</summary>" in html
    more = f"{count - 1000:,} more stand in metrics.json" in html
    assert more == (count > 1000)
