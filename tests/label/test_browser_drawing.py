"""Drawing on the page in a real browser: mouse, pen, fingers and keyboard."""

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from tests.label.pages import ACROSS

pytestmark = pytest.mark.slow


def test_undo_redo_and_eraser(page):
    page.show("03.png")
    page.drag(ACROSS)
    page.marked(1)
    page.chord(Keys.CONTROL, "z")
    page.until("/new/.test(document.querySelector('#about').textContent)")
    page.until("!document.querySelector('#redo').disabled")
    page.click("#redo")
    page.marked(1)
    page.click("[data-tool=eraser]")
    page.drag(ACROSS)
    page.marked(2)
    assert [m["class"] for m in page.marks(3)] == [1, 255]
    page.click("[data-tool=box]")
    page.drag([(0.2, 0.2), (0.7, 0.8)])
    page.marked(3)
    (box,) = (m["box"] for m in page.marks(3) if m["kind"] == "box")
    np.testing.assert_allclose(box, [19.2, 19.2, 67.2, 76.8], atol=0.5)
    shown = page.pixel((0.6, 0.7))
    page.click("[data-tool=eraser]")
    page.drag([(0.6, 0.7), (0.6, 0.85)])  # over its lower side
    page.marked(4)
    assert page.pixel((0.6, 0.7)) != shown
    page.click("#undo")
    page.marked(3)
    assert page.pixel((0.6, 0.7)) == shown


def test_drawing_by_keyboard(page):
    page.show("04.png")
    page.keys("b", "1")
    page.browser.execute_script("document.querySelector('#previous').focus()")
    page.one("#canvas").send_keys(
        Keys.ARROW_LEFT, " ", Keys.ARROW_UP, Keys.ARROW_UP, " "
    )
    page.marked(1)
    (stroke,) = page.marks(4)
    (x0, y0), *_, (x1, y1) = stroke["points"]
    assert x0 == x1 < 48 and y1 < y0 == 48
    page.keys("r", " ", *[Keys.ARROW_DOWN] * 3, *[Keys.ARROW_RIGHT] * 3, " ")
    page.marked(2)
    assert page.marks(4)[1]["kind"] == "box"


def test_fingers_draw_and_zoom(browser, page):
    page.show("05.png")
    touch = interaction.POINTER_TOUCH
    page.drag(ACROSS, kind=touch)
    page.marked(1)
    page.drag([(0.4, 0.5), (0.1, 0.5)], [(0.6, 0.5), (0.9, 0.5)], kind=touch)
    page.drag(ACROSS, kind=touch)
    page.marked(2)  # two fingers drew nothing
    before, after = (np.ptp([p[0] for p in m["points"]]) for m in page.marks(5))
    assert after < 0.6 * before  # the photo was larger
    page.keys("f")
    page.drag(ACROSS, kind=interaction.POINTER_PEN)
    page.marked(3)
    assert np.ptp([p[0] for p in page.marks(5)[2]["points"]]) == pytest.approx(
        before, 1
    )


def test_wheel_and_space_move_the_photo(browser, page):
    page.show("08.png")
    page.drag(ACROSS)
    page.marked(1)
    canvas = page.one("#canvas")
    origin = ScrollOrigin.from_element(canvas)
    ActionChains(browser).scroll_from_origin(origin, 0, -400).perform()
    page.drag(ACROSS)
    page.marked(2)
    chain = ActionChains(browser, duration=20)
    chain.key_down(" ").click_and_hold(canvas).move_by_offset(80, 0).release()
    chain.key_up(" ").perform()
    page.drag(ACROSS)
    page.marked(3)
    first, second, third = (m["points"][0] for m in page.marks(8))
    assert second[0] > first[0] + 3  # nearer to the middle
    assert third[0] < second[0] - 3 and third[1] == pytest.approx(second[1], abs=0.3)
