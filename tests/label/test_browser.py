"""The page in a real browser, with a real server: from strokes to exported masks."""

import contextlib
import io
import json
import time

import numpy as np
import pytest
from PIL import Image
from selenium.common.exceptions import ElementNotInteractableException
from selenium.webdriver.common.keys import Keys

from ppcjax.data_pipelines import make_eval, make_source
from tests.label.pages import ABOVE, ACROSS, BELOW, Page
from tests.label.processes import write_photos
from tests.report.browser import PHONE, faults, too_wide

pytestmark = pytest.mark.slow


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
        with contextlib.suppress(ElementNotInteractableException):
            page.click("#accept")  # gone where the first press has come through
        page.until(
            "document.querySelector('#accept').hidden ||"
            " /changed meanwhile/.test(document.querySelector('#error').textContent)"
        )
        if not page.one("#accept").is_displayed():
            break
    page.status("accepted")


def at_rest(page):
    """The state once no more proposals come."""
    found, after = None, page.ask("api/state")
    while found is None or found["version"] != after["version"]:
        time.sleep(1.5)
        found, after = after, page.ask("api/state")
    return after


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

    page.click("[data-open=export]")
    for name in ("coco", "png_grey"):
        box = page.one(f"#formats input[value={name}]")
        box.is_selected() or box.click()
    page.click("#do")
    page.until("/^Written/.test(document.querySelector('#task .answer').textContent)")
    folder = page.text("#task .answer span").removeprefix("Written to ")
    page.keys(Keys.ESCAPE)
    assert faults(browser) == []

    before = at_rest(page)
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


def test_one_class_is_told_what_it_lacks_at_each_press(browser, start, tmp_path):
    page = Page(browser, start(write_photos(tmp_path / "photos", count=2)).url)
    page.add_class("thing")
    page.settle()
    page.drag(ACROSS)
    page.marked(1)
    for _ in range(2):
        page.click("#propose")
        page.until("document.querySelector('#draw-background').checkVisibility()")
        assert "a line of background" in page.text("#error span")
        page.click("#error .bare")
    page.click("#propose")
    page.until("document.querySelector('#draw-background').checkVisibility()")
    page.click("#draw-background")
    page.drag(ABOVE)
    page.marked(2)
    assert [m["class"] for m in page.marks(0)] == [1, 0]
    page.click("#propose")
    page.status("proposed")


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
    page.click("#error .bare")


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
