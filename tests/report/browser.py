"""A real browser for tests of pages: Debian's packages chromium and chromium-driver."""

import base64
import shutil

import pytest

PHONE, DESK = (390, 844), (1280, 800)  # windows, in CSS pixels

_FLAGS = (
    "headless no-sandbox disable-gpu disable-dev-shm-usage no-first-run disable-quic "
    "disable-background-networking disable-component-update disable-sync "
    "hide-scrollbars"
)


def start():
    """Headless Chromium; skips the test where there is none."""
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromium-driver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in _FLAGS.split():
        options.add_argument(f"--{flag}")
    try:
        return webdriver.Chrome(options, webdriver.ChromeService(driver))
    except selenium.common.exceptions.WebDriverException as error:
        pytest.skip(f"chromium does not start here: {error.msg.splitlines()[0]}")


def show(browser, path, size=DESK, *, scripts=True):
    """Opens a file in a window of a size, its log empty.

    Args:
        browser: the fixture.
        path: a .html file.
        size: (width, height) in CSS pixels; a window narrower than Chromium's least
            is emulated, as a phone is.
        scripts: whether JavaScript is on.
    """
    run = browser.execute_cdp_cmd
    run("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    metrics = {"deviceScaleFactor": 1, "mobile": False}
    metrics |= dict(zip(("width", "height"), size, strict=True))
    run("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser")  # reading it empties it
    browser.get(path.as_uri())


def wait_until(browser, script):
    """Waits until a script returns what is true, as what a page does in events does."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20, 0.02).until(lambda b: b.execute_script(script), script)


def wait_until_closed(browser):
    """Waits until a large picture is closed, its event, which moves the focus, too."""
    stage = "dialog.enlarge:not([open]) .stage"
    wait_until(
        browser, f"return document.querySelector('{stage}')?.children.length === 0"
    )


def faults(browser):
    """What the page complained of since it was shown."""
    return [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]


def too_wide(browser):
    """How many pixels the page scrolls sideways, and what reaches out the farthest."""
    return browser.execute_script(
        """
        const room = document.documentElement.clientWidth;
        const over = document.documentElement.scrollWidth - room;
        if (over <= 0) return [0, ''];
        const right = (e) => e.getBoundingClientRect().right;
        const clips = (e) => e && e !== document.body &&
            (getComputedStyle(e).overflowX !== 'visible' || clips(e.parentElement));
        const all = [...document.body.querySelectorAll('*')]
            .filter((e) => !clips(e.parentElement));
        const most = Math.max(...all.map(right));
        const worst = all.filter((e) => right(e) > most - 1).at(-1);
        return [over, worst.outerHTML.slice(0, 200)];
        """
    )


def screenshot(browser, path):
    """Saves the whole page as a PNG file, also what the window does not show."""
    size = browser.execute_script(
        "const page = document.documentElement;"
        "return [page.clientWidth, Math.max(page.scrollHeight, innerHeight)];"
    )
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    shot = {"captureBeyondViewport": True, "clip": clip}
    found = browser.execute_cdp_cmd("Page.captureScreenshot", shot)
    path.write_bytes(base64.b64decode(found["data"]))
