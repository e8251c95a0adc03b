"""Reports of whole evaluations in a browser: one threshold, all photos, odd names."""

import os
from urllib.parse import unquote_to_bytes, urlsplit

import numpy as np
import pytest
from PIL import Image

from ppcjax.report.palette import class_colours
from tests.evaluate.masks import kinds
from tests.evaluate.masks.test_browser import read_canvas, slide, wait_until_drawn
from tests.report.browser import (
    DESK,
    PHONE,
    faults,
    show,
    too_wide,
    wait_until,
    wait_until_closed,
)

pytestmark = pytest.mark.slow  # evaluations, seven of them

AT = (0.0, 0.17, 0.3, 0.4321, 0.58)
ODD = (
    "a<b>&'q'\"",
    "100% #1? now",
    "emoji \N{DOG FACE}",
    "two\nlines",
    "sub/of <i>one",
    "Grüße",
    "</script><script>alert(1)",
)
CLASSES = ("background", "red <i>&\"'", "green \N{DOG FACE}")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Photos, 30 of them, and a folder for results."""
    folder = tmp_path_factory.mktemp("shown")
    kinds.write_photos(folder / "data", count=30)
    for number, name in enumerate(ODD):
        for kind in ("images", "masks"):
            file = folder / "data" / kind / f"{name}.png"
            file.parent.mkdir(exist_ok=True)
            (folder / "data" / kind / f"p{number}.png").rename(file)
    (folder / "data" / "classes.txt").write_text("\n".join(CLASSES))
    return folder / "data", folder


@pytest.fixture(scope="module")
def report(places):
    """The report of an evaluation at 0.4321, with six photos in its gallery."""
    root, folder = places
    kind = kinds.Kind("maps", {"gallery": 6})
    kinds.run_kind(kind, root, folder / "first", classes=CLASSES, threshold=0.4321)
    return folder / "first" / "report.html"


def opened(browser, report, size=DESK):
    show(browser, report, size)
    wait_until_drawn(browser)


def all_of(browser, selector, script):
    """What a script says of each element e that a selector finds."""
    return browser.execute_script(
        f"return Array.from(document.querySelectorAll({selector!r}), (e) => {script})"
    )


def press(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def test_slider_draws_the_masks_that_the_option_writes(browser, places, report):
    root, folder = places
    opened(browser, report)
    names = all_of(browser, ".tile", "e.dataset.title")
    assert len(names) == 6
    labels = browser.execute_script("return data.labels")
    colours = class_colours(background=True)[: len(CLASSES)].astype(int)
    seen = set()
    for t in AT:
        out = folder / f"at {t}"
        kind = kinds.Kind("maps", {"gallery": 0})
        kinds.run_kind(kind, root, out, classes=CLASSES, limit=6, threshold=t)
        slide(browser, labels.index(f"{t:.2f}" if t != 0.4321 else "0.4321"))
        for index, name in enumerate(names):
            written = np.asarray(Image.open(out / "masks" / f"{name}.png"))
            pixels = read_canvas(browser, f"#tile-{index} .prediction canvas")
            factor = pixels.shape[1] // written.shape[1]
            shown = pixels[factor // 2 :: factor, factor // 2 :: factor].astype(int)
            away = np.abs(shown[..., None, :3] - colours).sum(-1)
            mask = np.where(shown[..., 3] > 0, away.argmin(-1), 0)
            np.testing.assert_array_equal(mask, written)
            seen.add(mask.tobytes())
    assert len(seen) > 3 * len(names)
    assert not faults(browser)


def test_without_one_threshold_there_is_no_slider(browser, places):
    root, folder = places
    kind = kinds.Kind("maps", {"crf": "k1", "gallery": 2})
    kinds.run_kind(kind, root, folder / "crf", classes=CLASSES, threshold=0.4321)
    opened(browser, folder / "crf" / "report.html")
    assert not browser.find_elements("css selector", "#threshold, .curve, .marker")
    text = browser.find_element("id", "gallery").text
    assert "No slider: the threshold 0.4321 (fixed) counts before the CRF" in text
    name = all_of(browser, ".tile", "e.dataset.title")[1]
    written = np.asarray(Image.open(folder / "crf" / "masks" / f"{name}.png"))
    pixels = read_canvas(browser, "#tile-1 .prediction canvas")
    factor = pixels.shape[1] // written.shape[1]
    shown = pixels[factor // 2 :: factor, factor // 2 :: factor, 3] > 0
    np.testing.assert_array_equal(shown, written > 0)
    assert not faults(browser)


def test_pages_hold_all_photos_once_in_the_order_chosen(browser, report):
    from selenium.webdriver.support.ui import Select

    opened(browser, report)
    names = []
    for page in range(2):
        here = all_of(browser, ".shots .name", "e.textContent")
        assert len(here) == (24, 6)[page]
        names += here
        last = browser.find_element("id", "after")
        assert last.is_enabled() == (page == 0)
        if page == 0:
            last.click()
    images = report.parent.parent / "data" / "images"
    files = [p for p in images.rglob("*.png")]
    assert sorted(names) == sorted(
        os.path.relpath(p, images).removesuffix(".png") for p in files
    )
    assert browser.find_element("id", "pages").text == "of 2, 30 photos"
    browser.find_element("id", "before").click()
    for order, sign in (("uncertainty", -1), ("iou", 1)):
        Select(browser.find_element("id", "sort")).select_by_value(order)
        script = (
            f"return [...document.querySelectorAll('.shots .name')].map((e) => "
            f"data.photos.{order}[data.photos.name.indexOf(e.textContent)])"
        )
        values = browser.execute_script(script)
        assert values == sorted(values, key=lambda v: sign * v) and len(set(values)) > 3
    Select(browser.find_element("id", "sort")).select_by_value("name")
    plain = [n for n in all_of(browser, ".shots .name", "e.textContent") if n[0] == "p"]
    assert plain == sorted(plain, key=lambda name: int(name[1:]))
    Select(browser.find_element("id", "only")).select_by_value("2")
    here = all_of(browser, ".shots > li", "e.textContent")
    assert 0 < len(here) < 24
    assert all(CLASSES[2] in text for text in all_of(browser, ".shares", "e.innerText"))
    assert not faults(browser)


def test_links_lead_to_files_and_pictures_come(browser, report):
    opened(browser, report)
    page = browser.find_element("id", "page")
    links = set(all_of(browser, "main a", "e.href"))
    browser.execute_script("arguments[0].scrollIntoView()", page)
    browser.find_element("id", "after").click()
    links |= set(all_of(browser, "main a", "e.href"))
    assert len(links) >= 30 + 2 * 6 - 6 + 1
    for link in links:
        path = unquote_to_bytes(urlsplit(link).path)
        assert os.path.isfile(path) and not urlsplit(link).query, link
    for picture in browser.find_elements("css selector", ".shots img"):
        browser.execute_script("arguments[0].scrollIntoView()", picture)
    shots = "[...document.querySelectorAll('.shots img')]"
    wait_until(browser, f"return {shots}.every((e) => e.naturalWidth === 36)")
    assert not faults(browser)


def test_names_are_text(browser, report):
    opened(browser, report)
    titles = set(all_of(browser, ".shots .name", "e.textContent"))
    browser.find_element("id", "after").click()
    titles |= set(all_of(browser, ".shots .name", "e.textContent"))
    assert set(ODD) <= titles
    assert not browser.find_elements("css selector", "main i:not(.bar i), main b b")
    classes = all_of(browser, ".areas tbody th", "e.textContent")
    assert classes == list(CLASSES)
    assert len(browser.find_elements("css selector", "script")) <= 4


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_pictures_open_large_by_click_and_by_keys(browser, report, size):
    from selenium.webdriver.common.keys import Keys

    opened(browser, report, size)
    caption = "return document.querySelector('dialog .caption').textContent"
    is_open = "return document.querySelector('dialog').open"
    stack = browser.find_element("css selector", "#tile-1 .prediction .stack")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stack)
    stack.click()
    name = all_of(browser, ".tile", "e.dataset.title")[1]
    assert browser.execute_script(caption).startswith(f"{name} · Predicted mask")
    width = all_of(browser, "dialog .stage > *", "e.getBoundingClientRect().width")[0]
    assert width > 0.5 * size[0]
    press(browser, "m")
    masks = "getComputedStyle(e).opacity"
    assert all_of(browser, "dialog canvas", masks) == ["0"]
    press(browser, "m", Keys.ARROW_RIGHT)
    assert "True mask" in browser.execute_script(caption)
    assert all_of(browser, "dialog canvas", masks) == ["1"]
    press(browser, Keys.ESCAPE)
    wait_until_closed(browser)
    picture = browser.find_element("css selector", ".shots img")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    browser.execute_script("arguments[0].focus()", picture)
    press(browser, Keys.ENTER)
    assert browser.execute_script(is_open)
    first = all_of(browser, ".shots .name", "e.textContent")[0]
    shown = browser.execute_script(caption)
    assert shown.startswith(first.strip()) and shown.endswith("1 of 24")
    press(browser, Keys.ARROW_LEFT)
    assert browser.execute_script(caption).endswith("24 of 24")
    press(browser, Keys.ESCAPE)
    assert too_wide(browser) == [0, ""] and not faults(browser)
