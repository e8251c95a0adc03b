"""The reports of all evaluations in a browser: text is text, and all of it fits."""

import re

import pytest

from ppcjax.console import plain
from ppcjax.evaluate import EVALUATIONS
from tests.evaluate import reports
from tests.report.browser import DESK, PHONE, faults, show, too_wide

# What ends an attribute, an element, a script, a comment and a template's value.
HOSTILE = (
    "\"'><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
    "</script><script>window.ran = 1</script></style></svg></title>"
    "<!-- &amp; {{ 7 * 7 }}{% if %}{# \\u003c`${window.ran = 1}` \u202eevil\n"
    "javascript:window.ran=1" + "x" * 80
)

# Three kinds hold every section that there is; the others are looked at with the slow.
QUICK = {"supports", "episodes", "features"}
KINDS = [
    pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.slow)
    for kind in reports.SHOWN
]


def poisoned(value, named=False):
    """A structure with HOSTILE at the end of every name that comes from data.

    Args:
        value: dicts, lists, tuples and text.
        named: whether it is a key, which is text of the program without MARK.
    """
    if isinstance(value, dict):
        return {poisoned(k, True): poisoned(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(poisoned, value))
    if isinstance(value, list | tuple):
        return type(value)(map(poisoned, value))
    if isinstance(value, str) and value and (reports.MARK in value or not named):
        return value + HOSTILE
    return value


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Kind -> its report and the same with HOSTILE in every text, when asked for."""
    root, made = tmp_path_factory.mktemp("reports"), {}

    def find(kind):
        if kind not in made:
            shown = reports.SHOWN[kind]()
            bad = shown._replace(
                metrics=poisoned(shown.metrics), tiles=list(map(poisoned, shown.tiles))
            )
            made[kind] = [
                reports.write(root / kind / name, one)
                for name, one in (("good", shown), ("bad", bad))
            ]
        return made[kind]

    return find


def test_every_kind_of_evaluation_is_here():
    assert set(reports.SHOWN) == set(EVALUATIONS)


# Elements with the names of their attributes: what somebody's text must not add to.
# Overlays that are not beside the page become a line of text, sooner or later.
ELEMENTS = """
return Array.from(document.querySelectorAll('*:not(#shots figure *)'),
    e => [e.tagName, ...e.getAttributeNames()].join(' '));
"""
TEXTS = """
return Array.from(document.querySelectorAll('section, header, footer'),
    e => [e.querySelector('h1, h2').textContent, e.textContent]);
"""


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_text_and_all_fits(browser, written, kind):
    good, bad = written(kind)
    assert not re.search(r"https?://|@import|url\(", good.read_text())
    seen = {}
    for path in (good, bad):
        for size in (PHONE, DESK):
            show(browser, path, size)
            over, what = too_wide(browser)
            assert not over, f"{path} is {over} pixels too wide: {what}"
        missing = "ERR_FILE_NOT_FOUND"  # the overlays
        assert not [one for one in faults(browser) if missing not in one["message"]]
        assert browser.execute_script("return window.ran") is None
        seen[path] = browser.execute_script(ELEMENTS)
    assert seen[good] == seen[bad]
    shown = browser.execute_script(TEXTS)
    # What is not printed is written as Python writes it.
    line = " ".join(plain.lines(HOSTILE).split())
    with_text = [title for title, text in shown if line in " ".join(text.split())]
    assert {"Data", "Skipped images", "How this was made"} <= set(with_text)
    assert len(with_text) >= 6, with_text


@pytest.mark.parametrize("kind", KINDS)
def test_pages_are_whole_without_scripts(browser, written, kind):
    show(browser, written(kind)[0], PHONE, scripts=False)
    shown = browser.find_element("tag name", "main").text
    assert "toy warning" in shown and "How this was made" in shown
    assert too_wide(browser)[0] == 0
    jumps = browser.find_elements("css selector", "nav.contents a")
    for jump in jumps:
        target = jump.get_attribute("href").partition("#")[2]
        assert browser.find_element("id", target)
