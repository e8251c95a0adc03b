import json
import re
import shutil
from html.parser import HTMLParser
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from ppcjax.evaluate.masks import evaluation as evaluate
from ppcjax.evaluate.masks import gallery as report
from ppcjax.evaluate.masks import summary
from ppcjax.evaluate.masks.metric import predict_mask
from ppcjax.predict.tta import Prediction
from ppcjax.report import plots
from ppcjax.types import IGNORE

CLASSES = ("background", "cat", "<b>dog", "person")
THRESHOLDS = evaluate.sweep_with(0.265)


class Shown(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: np.ndarray | None


def make_prediction(name, size, *, seed=0, masked=True):
    """Two smooth blobs of scores, and a mask that is one of them."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = np.asarray(
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scores = np.zeros((height, width, len(CLASSES)), np.float32)
    for c, (cy, cx) in ((1, (0.4, 0.3)), (3, (0.6, 0.7))):
        away = ((y / height - cy) ** 2 + (x / width - cx) ** 2) * 12
        scores[..., c] = 0.97 * np.exp(-away)
    mask = np.where(scores[..., 1] > 0.5, 1, 0).astype(np.int32)
    mask[:3] = IGNORE
    tags = np.array([1, 1, 0, 1], np.float32)
    example = Shown(name, image, tags, mask if masked else None)
    return Prediction(example, scores, tags > 0)


def make_summary(predictions, *, masked=True, classes=CLASSES):
    run = evaluate.Run(
        folder=None,
        config={"name": "demo", "method": {"name": "ppc"}},
        classes=classes,
        step=12,
        predictor=(None, None, None),
        kind="scores" if classes == CLASSES else "logits",
        threshold=0.265,
        gallery=24,
        metric={"report_classes": [classes[0], "cat"]},
        tta={},
        walk={},
    )
    result = None
    if masked:
        metric = evaluate.make_metric(classes, THRESHOLDS, **run.metric)
        scored = predictions[0]
        counts = metric.count({"scores": scored.scores}, scored.example)
        result = metric.summarize(counts)
    count = len(predictions)
    return summary.summarize(
        run,
        evaluate.Evaluation(count, count if masked else 0, result),
        split="val",
        exported={"name": "fixed", "threshold": 0.265},
        chosen={"threshold": 0.4, "split": "val2", "images": 7} if masked else None,
    )


def write_demo(path, *, masked=True, classes=CLASSES):
    predictions = [
        make_prediction("first", (90, 120), masked=masked),
        make_prediction("sub/second", (700, 350), seed=1, masked=masked),
    ]
    tiles = [report.make_tile(p, THRESHOLDS) for p in predictions]
    steps = list(range(0, 100, 2))
    losses = {"total": (steps, [2 / (1 + s) for s in steps]), "er": ([0], [0.1])}
    report.write_report(
        path,
        make_summary(predictions, masked=masked, classes=classes),
        thresholds=THRESHOLDS,
        tiles=tiles,
        losses=losses,
    )
    return predictions, tiles


class Page(HTMLParser):
    """Collects what a page would fetch, and checks that its tags close."""

    VOID = {"meta", "link", "img", "input", "path", "circle", "rect"}

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.without_alt = [], [], 0

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.fetched += [named[a] for a in ("src", "href") if a in named]
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
    assert not re.search(r"https?://|@import|url\(", text)
    assert "{{" not in text and "<b>dog" not in text
    assert ("at step 98" in text) and ("nothing is scored" in text) != masked


def test_three_thresholds_stand_side_by_side(tmp_path):
    predictions, _ = write_demo(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    rows = make_summary(predictions)["thresholds"]
    for name in ("fixed", "chosen", "oracle"):
        assert f"<div class='value'>{summary.percent(rows[name]['mean_iou'])}" in text
    assert "validation split val2 (7 images)" in text and "upper bound" in text


def test_without_background_there_is_no_threshold(browser, tmp_path):
    classes = ("sky", *CLASSES[1:])
    predictions, tiles = write_demo(tmp_path / "report.html", classes=classes)
    text = summary.format_summary(make_summary(predictions, classes=classes))
    assert "threshold" not in text and "t =" not in text and "mean IoU" in text
    browser.get((tmp_path / "report.html").as_uri())
    wait_until_drawn(browser)
    assert "sky" in browser.find_element("css selector", ".legend").text
    assert not browser.find_elements("css selector", "#threshold, .curve, .scores")
    for name in ("prediction", "truth"):
        pixels = read_canvas(browser, f"#tile-0 .{name} canvas")
        assert (pixels[..., 3] > 0).all(), "some class has no colour"
    sky = pixels[tiles[0].planes[3] == 0]
    assert len(np.unique(sky, axis=0)) == 2  # its colour and its outline
    assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]


def test_tile_masks_are_those_of_the_full_image():
    prediction = make_prediction("a", (700, 351))
    tile = report.make_tile(prediction, THRESHOLDS, side=100)
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


def test_losses_of_a_resumed_run(tmp_path):
    rows = [
        {"step": 10, "train/loss/total": 3.0, "train/loss/er": 1.0, "images": 5},
        {"step": 20, "train/loss/total": 2.0, "train/loss/er": 0.5},
        {"step": 20, "train/loss/total": 2.5, "train/loss/er": None},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3')
    losses = report.read_losses(path)
    assert losses == {"total": ([10, 20], [3.0, 2.5]), "er": ([10, 20], [1.0, 0.5])}
    assert list(losses)[0] == "total"
    assert report.read_losses(tmp_path / "none.jsonl") == {}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 97, [0, 25, 50, 75, 100]), (0.2, 0.2, None), (-3, 5, [-4, -2, 0, 2, 4, 6])],
)
def test_ticks_are_round_and_cover(low, high, expected):
    found = plots.ticks(low, high, 4)
    assert found[0] <= low and found[-1] >= high and len(found) >= 2
    if expected:
        assert found == expected


def test_plot_breaks_where_undefined():
    text = plots.line_plot([0, 1, 2, 3], [("a", [1, np.nan, 2, 3])], title="t")
    assert len(re.findall("[ML]", re.search('class="line a" d="(.*?)"', text)[1])) == 3
    assert "nan" not in text


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; from Debian's packages chromium and chromium-driver."""
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromium-driver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless no-sandbox disable-gpu disable-dev-shm-usage no-first-run"
    flags += " disable-background-networking disable-component-update disable-sync"
    flags += " disable-quic"
    for flag in flags.split():
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=390,800")
    try:
        found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    except selenium.common.exceptions.WebDriverException as error:
        pytest.skip(f"chromium does not start here: {error.msg.splitlines()[0]}")
    yield found
    found.quit()


READ_CANVAS = """
const [figure, done] = arguments;
requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = document.querySelector(figure);
  const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  done([canvas.height, canvas.width, Array.from(image.data)]);
}));
"""


def read_canvas(browser, selector):
    height, width, values = browser.execute_async_script(READ_CANVAS, selector)
    return np.array(values, np.uint8).reshape(height, width, 4)


def wait_until_drawn(browser):
    from selenium.webdriver.support.ui import WebDriverWait

    ready = "return document.body.dataset.ready === 'yes'"
    WebDriverWait(browser, 20).until(lambda b: b.execute_script(ready))


def slide(browser, position):
    """Moves the slider as a user does, by keys."""
    from selenium.webdriver.common.keys import Keys

    slider = browser.find_element("id", "threshold")
    now = int(slider.get_attribute("value"))
    key = Keys.ARROW_RIGHT if position > now else Keys.ARROW_LEFT
    slider.send_keys(key * abs(position - now))
    assert int(slider.get_attribute("value")) == position


def test_slider_redraws_the_masks(browser, tmp_path):
    predictions, tiles = write_demo(tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    wait_until_drawn(browser)
    drawn = []
    for position in (THRESHOLDS.index(0.265), 10, 55):
        slide(browser, position)
        for index, prediction in enumerate(predictions):
            pixels = read_canvas(browser, f"#tile-{index} .prediction canvas")
            height, width = prediction.scores.shape[:2]
            rows, columns = (
                (2 * np.arange(n) + 1) * full // (2 * n)
                for n, full in zip(pixels.shape, (height, width), strict=False)
            )
            mask = predict_mask(prediction.scores, THRESHOLDS[position])
            mask = mask[np.ix_(rows, columns)]
            np.testing.assert_array_equal(pixels[..., 3] > 0, mask > 0)
            script = f"return Array.from(maskOf(data.tiles[{index}], {position}))"
            shown = np.array(browser.execute_script(script)).reshape(mask.shape)
            np.testing.assert_array_equal(shown, mask)
        drawn.append((pixels[..., 3] > 0).sum())
        label = browser.find_element("id", "threshold-value").text
        text = summary.threshold_text(THRESHOLDS[position])
        assert f"t = {text}, mean IoU" in label
    assert drawn[1] > drawn[0] > drawn[2] > 0
    truth = read_canvas(browser, "#tile-0 .truth canvas")
    np.testing.assert_array_equal(truth[..., 3] > 0, tiles[0].planes[3] > 0)
    log = browser.get_log("browser")
    assert not [entry for entry in log if entry["level"] == "SEVERE"]


def test_page_fits_a_phone(browser, tmp_path):
    write_demo(tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    wide = "return document.documentElement.scrollWidth - window.innerWidth"
    assert browser.execute_script(wide) <= 0
