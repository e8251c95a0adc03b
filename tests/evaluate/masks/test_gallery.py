"""The report on masks as text: whole, alone, and true to the full images."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ppcjax.evaluate.masks import gallery, summary
from ppcjax.predict.prediction import predict_mask
from ppcjax.report.text import percent
from tests.evaluate.masks.demo import (
    CLASSES,
    THRESHOLDS,
    make_prediction,
    make_summary,
    write_demo,
)


class Page(HTMLParser):
    """Collects what a page would fetch, and checks that its tags close."""

    VOID = {"meta", "link", "img", "input", "path", "circle", "rect"}

    def __init__(self):
        super().__init__()
        self.fetched, self.linked, self.open, self.without_alt = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        (self.linked if tag == "a" else self.fetched).extend(
            named[a] for a in ("src", "href") if a in named
        )
        self.without_alt += tag == "img" and not named.get("alt")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("masked", [True, False])
def test_page_is_whole_and_loads_nothing(tmp_path, masked):
    write_demo(tmp_path / "report.html", masked=masked)
    text = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert not page.open and not page.without_alt
    assert all(address.startswith("data:") for address in page.fetched)
    beside = {address.partition("/")[0] for address in page.linked if address[0] != "#"}
    assert beside == {"masks", "overlays", "photos.csv"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "{{" not in text and "<b>dog" not in text
    assert ("at step 98" in text) and ("nothing is scored" in text) != masked


def test_three_thresholds_stand_side_by_side(tmp_path):
    predictions, _ = write_demo(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    rows = make_summary(predictions)["thresholds"]
    for name in ("fixed", "chosen", "oracle"):
        assert f'<div class="value">{percent(rows[name]["mean_iou"])}' in text
    assert "validation split val2 (7 images)" in text and "upper bound" in text


def test_without_background_the_text_has_no_threshold():
    classes = ("sky", *CLASSES[1:])
    found = make_summary([make_prediction("a", (90, 120))], classes=classes)
    text = summary.format_summary(found)
    assert "threshold" not in text and "t =" not in text and "mean IoU" in text


def test_tile_masks_are_those_of_the_full_image():
    prediction = make_prediction("a", (700, 351))
    tile = gallery.make_tile(prediction, THRESHOLDS, side=100)
    score, level, best, truth = tile.planes
    assert tile.planes.shape == (4, 100, 50)
    rows, columns = np.arange(3, 700, 7), (2 * np.arange(50) + 1) * 351 // 100
    nearest = np.ix_(rows, columns)
    for position in (0, 20, 60):
        mask = predict_mask(prediction.scores, THRESHOLDS[position])
        shown = np.where(level > position, best, 0)
        np.testing.assert_array_equal(shown, mask[nearest])
    np.testing.assert_array_equal(truth, prediction.example.mask[nearest])
    top = prediction.scores.max(-1)[nearest]
    np.testing.assert_allclose(score / 255, top, atol=0.5 / 255 + 1e-6)
