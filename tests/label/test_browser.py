"""The page in a real browser, with a real server: from strokes to exported masks."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from ppcjax.data_pipelines import make_eval, make_source
from tests.label.pages import Page
from tests.label.server import Server, write_config, write_photos
from tests.report.browser import PHONE, faults, too_wide

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytestmark = pytest.mark.slow

ACROSS = [(0.3, 0.5), (0.45, 0.5), (0.6, 0.55)]  # lines on a photo, from 0 to 1
ABOVE = [(0.1, 0.1), (0.5, 0.08), (0.9, 0.1)]
BELOW = [(0.2, 0.9), (0.8, 0.9)]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def start(config):
    """Starts servers, and kills them at the end."""
    started = []

    def run(photos, *more):
        started.append(Server(photos, config, *more))
        return started[-1]

    yield run
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def shared(config, tmp_path_factory):
    """One server for what needs no server of its own; each test has its photo."""
    photos = write_photos(tmp_path_factory.mktemp("shared") / "photos")
    server = Server(photos, config)
    yield server
    server.kill()


@pytest.fixture
def page(browser, shared):
    """The page with a class."""
    found = Page(browser, shared.url)
    if not found.ask("api/state")["classes"]:
        found.add_class("thing")
    found.choose(1)
    return found


def mask_of(page, number):
    """The mask that the server has of a photo, as numbers."""
    script = """
        const done = arguments[1], token = new URLSearchParams(location.search);
        fetch(`mask/${arguments[0]}?${token}`).then((r) => r.arrayBuffer())
            .then((b) => done([...new Uint8Array(b)]));
    """
    content = bytes(page.browser.execute_async_script(script, number))
    return np.asarray(Image.open(io.BytesIO(content)))


def accept(page):
    """Accepts, once more where what is proposed has just changed, as a person does."""
    for _ in range(3):
        page.click("#accept")
        page.until(
            "document.querySelector('#accept').hidden ||"
            " /changed meanwhile/.test(document.querySelector('#error').textContent)"
        )
        if not page.one("#accept").is_displayed():
            break
    page.status("accepted")


def test_from_two_scribbles_to_masks_that_survive_a_kill(browser, start, tmp_path):
    photos = write_photos(tmp_path / "photos")
    server = start(photos)
    page = Page(browser, server.url)
    page.add_class("thing")
    page.add_class("other")
    page.choose(1)
    page.settle()
    page.drag(ACROSS)
    page.choose(0)
    page.drag(ABOVE)
    page.marked(2)
    page.click("#propose")
    page.status("proposed")

    page.until("document.querySelectorAll('[data-status=proposed]').length === 10")
    page.show("01.png")
    page.click("[data-tool=fix]")
    page.choose(2)
    page.drag(BELOW)
    page.marked(1)
    page.until("!/proposing/.test(document.querySelector('#counts').textContent)")
    page.click("#go-on")
    accept(page)
    accepted = mask_of(page, 1)
    y, x = round(0.9 * 96), round(0.5 * 96)
    assert accepted[y, x] == 2

    page.click("#open-export")
    for name in ("coco", "png_grey"):
        box = page.one(f"#formats input[value={name}]")
        box.is_selected() or box.click()
    page.click("#do-export")
    page.until("/^Written/.test(document.querySelector('#export .answer').textContent)")
    folder = page.text("#export .answer span").removeprefix("Written to ")
    page.keys(Keys.ESCAPE)
    assert faults(browser) == []

    before = page.ask("api/state")
    marks = page.marks(0)
    server.kill()  # 9
    page.until("!document.querySelector('#error').hidden")
    server = start(photos)
    page.open(server.url)
    after = page.ask("api/state")
    for name in ("classes", "counts"):
        assert after[name] == before[name]
    for one, other in zip(before["photos"], after["photos"], strict=True):
        assert {**one, "mask": None} == {**other, "mask": None}
    assert page.marks(0) == marks and [m["kind"] for m in marks] == ["stroke"] * 2
    page.show("01.png")
    page.status("accepted")
    np.testing.assert_array_equal(mask_of(page, 1), accepted)

    grey = np.asarray(Image.open(f"{folder}/png_grey/masks/01.png"))
    np.testing.assert_array_equal(grey, accepted)
    names = [c["name"] for c in after["classes"]]
    data = json.loads(open(f"{folder}/coco/annotations/instances_default.json").read())
    assert [c["name"] for c in data["categories"]] == names
    (photos / "01.png").rename(tmp_path / "01.png")
    images = tmp_path / "read/images"
    images.mkdir(parents=True)
    (tmp_path / "01.png").rename(images / "01.png")
    (tmp_path / "read/annotations").mkdir()
    (tmp_path / "read/annotations/a.json").write_text(json.dumps(data))
    source = make_source({"source": "folder", "root": str(tmp_path / "read")}, "all")
    (example,) = make_eval({}, source)
    np.testing.assert_array_equal(example.mask, accepted)


def test_what_the_server_did_not_hear_comes_after_its_restart(browser, start, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2)
    server = start(photos)
    page = Page(browser, server.url)
    page.add_class("thing")
    page.choose(1)
    page.settle()
    page.drag(ACROSS)
    page.marked(1)
    server.kill()
    page.drag(BELOW)
    page.until("/does not answer/.test(document.querySelector('#error').textContent)")
    server = start(photos, f"--port={server.port}")
    page.open(server.url)
    page.marked(2)
    page.open(server.url)
    assert len(page.marks(0)) == 2  # and not three


def test_two_tabs_are_one(browser, page, shared):
    page.show("02.png")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        other = Page(browser, shared.url)
        other.choose(1)
        other.show("02.png")
        other.drag(ACROSS)
        other.marked(1)
    finally:
        browser.close()
        browser.switch_to.window(first)
    page.marked(1)
    page.drag(BELOW)
    page.marked(2)


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


def test_tags_by_keys(page):
    page.show("06.png")
    page.keys("t", "1")
    page.until("document.querySelector('#classes [aria-pressed=true]')")
    page.keys(Keys.ARROW_RIGHT)
    page.until("document.querySelector('#name').textContent === '07.png'")
    page.keys("t")
    assert page.photo("06.png")["tags"] == [1] and page.photo("07.png")["tags"] == []


def test_classes_are_renamed_recoloured_and_refused(page):
    page.click("#classes tr[data-class='1'] .bare")
    name = page.one("#class-name")
    name.clear()
    name.send_keys("renamed")
    page.browser.execute_script(
        "document.querySelector('#class-colour').value = '#123456'"
    )
    page.click("#class-save")
    page.until("document.querySelector('#classes').textContent.includes('renamed')")
    one = page.ask("api/state")["classes"][0]
    assert (one["name"], one["colour"]) == ("renamed", "#123456")
    page.one("#new-class").send_keys("renamed\n")
    page.until("/is there already/.test(document.querySelector('#error').textContent)")
    page.click("#error button")


def test_keys_are_told_and_the_phone_is_wide_enough(browser, shared):
    page = Page(browser, shared.url, PHONE)
    assert too_wide(browser)[0] == 0
    page.one("body").send_keys("?")
    page.until("document.querySelector('#help').open")
    assert too_wide(browser)[0] == 0
    page.keys(Keys.ESCAPE)
    hidden = browser.execute_script(
        """
        const seen = (e) => e.checkVisibility() && !e.closest('dialog');
        return [...document.querySelectorAll('main button')].filter(seen)
            .filter((e) => e.getBoundingClientRect().width < 36 ||
                           e.getBoundingClientRect().height < 36)
            .map((e) => e.id || e.outerHTML);
        """
    )
    assert hidden == []  # fingers hit all of them
