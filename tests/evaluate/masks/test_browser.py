"""The report on masks in a browser: its script draws what the masks are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ppcjax.evaluate.masks import summary
from ppcjax.predict.prediction import predict_mask
from tests.evaluate.masks.demo import CLASSES, THRESHOLDS, write_demo
from tests.report.browser import DESK, PHONE, faults, show, too_wide, wait_until

READ_CANVAS = """
const [figure, done] = arguments;
requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = document.querySelector(figure);
  done(canvas.toDataURL().split(',')[1]);
}));
"""


def read_canvas(browser, selector):
    """What a canvas shows, [H, W, 4] uint8, once it is drawn."""
    png = base64.b64decode(browser.execute_async_script(READ_CANVAS, selector))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def wait_until_drawn(browser):
    wait_until(browser, "return document.body.dataset.ready === 'yes'")


def slide(browser, position):
    """Moves the slider as a user does, by keys."""
    from selenium.webdriver.common.keys import Keys

    slider = browser.find_element("id", "threshold")
    now = int(slider.get_attribute("value"))
    key = Keys.ARROW_RIGHT if position > now else Keys.ARROW_LEFT
    slider.send_keys(key * abs(position - now))
    assert int(slider.get_attribute("value")) == position


def test_without_background_there_is_no_threshold(browser, tmp_path):
    classes = ("sky", *CLASSES[1:])
    _, tiles = write_demo(tmp_path / "report.html", classes=classes)
    show(browser, tmp_path / "report.html")
    wait_until_drawn(browser)
    assert "sky" in browser.find_element("css selector", ".legend").text
    assert not browser.find_elements("css selector", "#threshold, .curve, .scores")
    for name in ("prediction", "truth"):
        pixels = read_canvas(browser, f"#tile-0 .{name} canvas")
        assert (pixels[..., 3] > 0).all(), "some class has no colour"
    sky = pixels[tiles[0].planes[3] == 0]
    assert len(np.unique(sky, axis=0)) == 2  # its colour and its outline
    assert not own_faults(browser)


@pytest.mark.slow
def test_slider_redraws_the_masks(browser, tmp_path):
    predictions, tiles = write_demo(tmp_path / "report.html")
    show(browser, tmp_path / "report.html")
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
    assert not own_faults(browser)


def own_faults(browser):
    """Faults but for the overlays, which a page on its own does not have."""
    return [e for e in faults(browser) if "/overlays/" not in e["message"]]


HOLES = """
return Array.from(document.querySelectorAll('.panels')).map((grid) => {
  const room = grid.getBoundingClientRect();
  const filled = Array.from(grid.children).reduce((sum, figure) => {
    const box = figure.querySelector('.stack').getBoundingClientRect();
    return sum + box.width;
  }, 0);
  const figures = Array.from(grid.children);
  const tops = new Set(figures.map((figure) => figure.getBoundingClientRect().top));
  return filled / (room.width * tops.size);
});
"""


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("background", [True, False])
def test_page_fits_and_has_no_holes(browser, tmp_path, masked, background):
    """With two, three and four pictures of each photo."""
    classes = CLASSES if background else ("sky", *CLASSES[1:])
    write_demo(tmp_path / "report.html", masked=masked, classes=classes)
    for size, least in ((PHONE, 0.9), (DESK, 0.4)):
        show(browser, tmp_path / "report.html", size)
        assert too_wide(browser) == [0, ""]
        holes = browser.execute_script(HOLES)
        assert len(holes) == 2 and all(least < share <= 1 for share in holes)
