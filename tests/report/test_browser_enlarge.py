"""Pictures of a page open large: by click and by keys, and not without scripts."""

import io

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from ppcjax.report import page
from tests.report.browser import DESK, PHONE, faults, show, too_wide, wait_until_closed

CANVAS = """
<figure data-enlarge='all' class='mask'><div class='stack' style='aspect-ratio:2'>
<canvas width='40' height='20'></canvas></div><figcaption>A mask</figcaption></figure>
"""
PAINT = """
const pen = document.querySelector("canvas").getContext("2d");
pen.fillStyle = "rgb(200, 10, 20)";
pen.fillRect(0, 0, 20, 20);
"""


def jpeg(width, height, value):
    content = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(content, "JPEG")
    return content.getvalue()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    path = tmp_path_factory.mktemp("enlarge") / "report.html"
    photos = [
        page.image(jpeg(60, 30, 90), "First & best", group="all"),
        page.image(jpeg(30, 60, 160), "Second", group="all"),
        page.image(jpeg(30, 60, 160), "Of another group", group="other"),
    ]
    path.write_text(page.as_html(page.Page("Pictures", "", [*photos, Markup(CANVAS)])))
    return path


def state(browser):
    """Whether the dialog is open, its caption, size of the picture in it."""
    return browser.execute_script(
        """
        const dialog = document.querySelector('dialog.enlarge');
        const picture = dialog.querySelector('.stage > *');
        const box = picture?.getBoundingClientRect();
        return [dialog.open, dialog.querySelector('.caption').textContent,
                box ? [Math.round(box.width), Math.round(box.height)] : null];
        """
    )


def press(browser, key):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


def focused(browser):
    return browser.execute_script("return document.activeElement.alt")


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_click_arrows_and_escape(browser, opened, size):
    from selenium.webdriver.common.keys import Keys

    show(browser, opened, size)
    assert too_wide(browser)[0] == 0
    browser.find_element("css selector", "img[data-enlarge]").click()
    is_open, caption, (width, height) = state(browser)
    assert is_open and caption == "First & best · 1 of 3"
    assert width == pytest.approx(2 * height, abs=1)
    assert size[0] * 0.8 < width <= size[0] or height > size[1] * 0.8
    assert state(browser)[0] and too_wide(browser)[0] == 0
    press(browser, Keys.ARROW_RIGHT)
    _, caption, (width, height) = state(browser)
    assert caption == "Second · 2 of 3"
    assert height == pytest.approx(2 * width, abs=2)
    press(browser, Keys.ARROW_RIGHT)
    assert state(browser)[1] == "A mask · 3 of 3"
    press(browser, Keys.ARROW_RIGHT)
    press(browser, Keys.ARROW_LEFT)
    press(browser, Keys.ARROW_LEFT)
    assert state(browser)[1] == "Second · 2 of 3"
    press(browser, Keys.ESCAPE)
    wait_until_closed(browser)
    assert focused(browser) == "Second"
    assert not faults(browser)


def test_enter_opens_and_a_click_shows_it_larger(browser, opened):
    from selenium.webdriver.common.keys import Keys

    show(browser, opened, PHONE)
    press(browser, Keys.TAB)
    assert focused(browser) == "First & best"
    press(browser, Keys.ENTER)
    is_open, _, (width, _) = state(browser)
    picture = browser.find_element("css selector", "dialog .stage > *")
    picture.click()
    assert is_open and state(browser)[2][0] >= 2 * width - 1
    picture.click()
    assert state(browser)[2][0] == width
    browser.find_element("css selector", "dialog .close").click()
    wait_until_closed(browser)


def test_a_figure_shows_what_its_canvas_holds(browser, opened):
    show(browser, opened)
    browser.execute_script(PAINT)
    browser.find_element("css selector", "figure[data-enlarge] .stack").click()
    assert state(browser)[:2] == [True, "A mask · 3 of 3"]
    script = (
        "const canvas = document.querySelector('dialog canvas');"
        "return Array.from(canvas.getContext('2d').getImageData(9, 9, 1, 1).data)"
    )
    assert browser.execute_script(script) == [200, 10, 20, 255]
    assert browser.execute_script("return document.querySelectorAll('[id]').length") < 3


def test_one_of_a_group_has_no_arrows(browser, opened):
    show(browser, opened)
    browser.find_element("css selector", "[data-enlarge=other]").click()
    assert state(browser)[1] == "Of another group"
    assert not browser.find_element("css selector", "dialog .next").is_displayed()


def test_without_scripts_pictures_are_pictures(browser, opened):
    show(browser, opened, scripts=False)
    picture = browser.find_element("css selector", "img[data-enlarge]")
    picture.click()
    assert picture.get_attribute("role") is None
