"""Trainings from the page to their end, by the real command on a tiny network."""

import os
import re
import signal
import time

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from ppcjax.label.trainee import Trainee
from tests.label.pages import ABOVE, ACROSS, Page
from tests.label.processes import write_photos
from tests.label.test_browser import accept, mask_of

pytestmark = pytest.mark.slow
_PATIENCE = 200  # seconds for a training
_STEPS = 6
_POST = """
    const [path, body, done] = arguments;
    const token = new URLSearchParams(location.search).get("token");
    fetch(path, {method: "POST", body: JSON.stringify(body), headers:
        {"X-Token": token, "Content-Type": "application/json"}})
        .then((r) => r.json()).then(done);
"""


@pytest.fixture
def photos(tmp_path):
    """Photos, whose trainings end with the test."""
    yield write_photos(tmp_path / "photos", 6)
    for folder in tmp_path.glob("photos-labels/trainings/*"):
        pid = Trainee(folder).pid()
        if pid:
            os.kill(pid, signal.SIGKILL)


def _marked(page, photos):
    for number in photos:
        page.show(f"{number:02}.png")
        page.choose(1)
        page.drag(ACROSS)
        page.choose(0)
        page.drag(ABOVE)
        page.marked(2)


def _sent(page, photos):
    """The same marks without a pointer, of which other tests are."""
    for number in photos:
        place = page.photo(f"{number:02}.png")["id"]
        strokes = [
            {
                **{"kind": "stroke", "photo": place, "class": class_id, "width": 6},
                "points": [[96 * x, 96 * y] for x, y in points],
            }
            for class_id, points in ((1, ACROSS), (0, ABOVE))
        ]
        asked = {"actions": strokes}
        answer = page.browser.execute_async_script(_POST, "api/actions", asked)
        assert not answer["refused"], answer


def _accepted(page, photos):
    go_on = page.one("#go-on")
    if go_on.is_selected():
        go_on.click()
    for number in photos:
        page.show(f"{number:02}.png")
        page.until("!document.querySelector('#accept').disabled")
        accept(page)


def _train(page, way="masks"):
    page.click("[data-open=train]")
    choice = f'#trainings [value="{way}"]'
    page.until(f"document.querySelector('{choice}')")
    page.click(choice)
    page.click("#do")
    answered = "/^(Started|It saves)/"
    page.until(f"{answered}.test(document.querySelector('#task .answer').textContent)")
    page.keys(Keys.ESCAPE)


def _trained(page):
    """Waits for the end of a training; returns all that the page showed of it."""
    end, shown = time.monotonic() + _PATIENCE, []
    while True:
        text = page.text("#bars")
        shown += [text] if text not in shown[-1:] else []
        training = page.ask("api/state")["progress"]["training"]
        if training["state"] != "running":
            break
        assert time.monotonic() < end, shown
        time.sleep(0.2)
    assert training["state"] == "done", training
    assert training["step"] == training["steps"] == _STEPS
    page.until("/Training is done/.test(document.querySelector('#bars').textContent)")
    return shown


def _proposed(page):
    """Has a photo proposed by what was trained."""
    number = page.photo("05.png")["id"]
    before = page.photo("05.png")["mask"]
    answer = page.browser.execute_async_script(_POST, "api/propose", {"photo": number})
    assert answer == {"started": True}
    end = time.monotonic() + _PATIENCE
    while page.photo("05.png")["mask"] in (None, before):
        assert time.monotonic() < end, page.ask("api/state")["progress"]
        time.sleep(0.2)
    return mask_of(page, number)


def test_a_segmenter_learns_from_what_was_accepted(browser, start, photos):
    """Two proposals that were accepted, and two photos that were only marked."""
    server = start(photos, f"--steps={_STEPS}")
    page = Page(browser, server.url)
    page.add_class("thing")
    _marked(page, (0, 1))
    page.click("#propose")
    page.until("document.querySelectorAll('[data-status=proposed]').length === 6")
    _accepted(page, range(4))
    _train(page)
    shown = _trained(page)
    assert any(re.search(rf"Training \d of {_STEPS}", text) for text in shown), shown
    mask = _proposed(page)
    assert mask.shape == (96, 96) and set(np.unique(mask)) <= {0, 1}


def test_accepted_marks_alone_are_enough(browser, start, photos):
    """No mask was there, and nothing was proposed."""
    server = start(photos, f"--steps={_STEPS}")
    page = Page(browser, server.url)
    page.add_class("thing")
    _sent(page, range(4))
    _accepted(page, range(4))
    _train(page)
    _trained(page)
    mask = _proposed(page)
    assert set(np.unique(mask)) <= {0, 1}


def test_ppc_learns_from_tags(browser, start, photos):
    server = start(photos, f"--steps={_STEPS}")
    page = Page(browser, server.url)
    page.add_class("thing")
    page.add_class("other")
    page.show("00.png")
    for number in range(6):
        page.keys("t", "1" if number % 2 else "2")
        page.keys("t")
        if number < 5:
            page.show(f"{number + 1:02}.png")
    _train(page, "tags")
    _trained(page)
    mask = _proposed(page)
    assert set(np.unique(mask)) <= {0, 1, 2}


def test_a_training_outlives_the_server(browser, start, photos):
    server = start(photos, "--steps=200")
    page = Page(browser, server.url)
    page.add_class("thing")
    _sent(page, range(4))
    _accepted(page, range(4))
    _train(page)
    _step(page, 1)
    server.kill()  # 9
    server = start(photos)
    page.open(server.url)
    found = page.ask("api/state")["progress"]["training"]
    assert found["state"] == "running" and found["step"] >= 1
    _step(page, found["step"] + 1)
    _train(page, "stop")
    end = time.monotonic() + _PATIENCE
    while page.ask("api/state")["progress"]["training"]["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.2)
    found = page.ask("api/state")["progress"]
    assert "stopped by SIGTERM after step" in found["training"]["said"]
    assert any("goes on with it" in line for line in found["said"])
    _train(page, "go on")
    _step(page, found["training"]["step"] + 1)
    _train(page, "stop")


def _step(page, least):
    end = time.monotonic() + _PATIENCE
    while (page.ask("api/state")["progress"]["training"]["step"] or 0) < least:
        assert time.monotonic() < end, page.ask("api/state")["progress"]
        time.sleep(0.2)
