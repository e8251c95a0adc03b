"""The list of all photos: areas, columns for the script, addresses, and its bound."""

import json
import re
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

from ppcjax.evaluate.masks import listing
from ppcjax.report.page import as_script_data

SUMMARY = {"images": 3, "background": True, "classes": ["background", "cat", "<b>dog"]}


def make_row(name, *, areas=None, uncertainty=0.5, iou=None):
    areas = {"0": 60, "1": 40} if areas is None else areas
    row = {"id": name, "size": [10, 10], "areas": areas}
    return row | {"uncertainty": uncertainty, "iou": iou}


@pytest.mark.parametrize(
    "name", ["a b", "x/ü#1?.jpg", "100%", "q'\"<&", "\udcff", "~a"]
)
def test_addresses_are_those_of_the_files(name):
    link = listing.link("masks", name, ".png")
    assert re.fullmatch(r"masks/[A-Za-z0-9_.~%/-]+\.png", link)
    assert unquote_to_bytes(link) == f"masks/{name}.png".encode(
        errors="surrogateescape"
    )
    (path,) = listing.data([make_row(name)])["path"]
    assert f"masks/{name if path is None else path}.png" == link
    listing.shown(name).encode()


def test_areas_are_of_all_pixels():
    rows = [make_row("a"), make_row("b", areas={"2": 100}), make_row("c")]
    text = listing.areas(SUMMARY, rows)
    cells = re.findall(r"</span>([^<]*)</th><td>(\d+)</td>\s*<td>.*?<b>(.*?)</b>", text)
    expected = [("background", "2", "40.0 %"), ("cat", "2", "26.7 %")]
    assert cells == [*expected, ("&lt;b&gt;dog", "1", "33.3 %")]
    assert "In no photo" not in text
    assert "In no photo: &lt;b&gt;dog" in listing.areas(SUMMARY, [rows[0], rows[2]])
    tiny = make_row("t", areas={"0": 99_999, "1": 1})
    assert "&lt; 0.1 %" in listing.areas(SUMMARY, [tiny])
    assert listing.areas(SUMMARY, []) == listing.photos(SUMMARY, []) == ""


def test_columns_are_in_the_order_of_the_photos():
    rows = [
        make_row(n, uncertainty=u) for n, u in (("b", 0.1), ("a", None), ("c", 0.9))
    ]
    found = listing.data(rows)
    assert found["name"] == ["b", "a", "c"] and found["uncertainty"] == [0.1, None, 0.9]
    assert found["areas"][0] == [[0, 600], [1, 400]] and found["iou"] == [None] * 3


@pytest.mark.parametrize("known", ["uncertainty", "iou"])
def test_what_nobody_knows_is_no_order(known):
    rows = [make_row("a", uncertainty=None) | {known: 0.5}]
    text = listing.photos(SUMMARY, rows)
    for order in ("uncertainty", "iou"):
        assert (f'value="{order}"' in text) == (order == known)
    assert 'value="name"' in text


def test_a_list_of_very_many_photos_is_bounded_and_says_so():
    rng = np.random.default_rng(0)
    unsure = rng.uniform(size=20_000).round(4)
    rows = [
        make_row(f"folder/photo_{i:06d}", uncertainty=float(u), iou=0.1234)
        for i, u in enumerate(unsure)
    ]
    found = listing.data(rows)
    assert len(found["name"]) == listing.LISTED and found["name"] == sorted(
        found["name"]
    )
    assert min(found["uncertainty"]) >= np.sort(unsure)[-listing.LISTED] - 1e-9
    assert len(as_script_data(json.loads(json.dumps(found)))) < 1e6
    text = listing.photos({**SUMMARY, "images": len(rows)}, rows)
    assert "The 10,000 most uncertain of 20,000 photos" in text
    assert "photos.csv" in text
