"""What the page is made of: nothing of other hosts, and controls that have names."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ppcjax.data_pipelines.formats import WRITERS
from tests.test_layering import ROOT

PAGE = ROOT / "ppcjax/label/page"
FILES = sorted(PAGE.iterdir())
HTML = (PAGE / "index.html").read_text()
_NAMES_OF_SVG = "http://www.w3.org/2000/svg"  # a name, which nobody asks for
_CONTROLS = ("button", "input", "select", "textarea", "canvas")
_VOID = ("meta", "link", "input", "use", "path", "circle", "rect", "br", "img")


class Controls(HTMLParser):
    """Each control with the text that names it."""

    def __init__(self):
        super().__init__()
        self.stack, self.found, self.labels = [], [], {}

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in _CONTROLS:
            inside = [one for one in self.stack if one["tag"] == "label"]
            self.found.append({"tag": tag, "attrs": attrs, "in": inside, "text": ""})
        if tag not in _VOID:
            self.stack.append({"tag": tag, "attrs": attrs, "text": ""})

    def handle_data(self, data):
        for one in self.stack:
            one["text"] += data.strip()
        if self.stack and self.stack[-1]["tag"] == "button":
            self.found[-1]["text"] += data.strip()

    def handle_endtag(self, tag):
        if tag in _VOID:
            return
        one = self.stack.pop()
        assert one["tag"] == tag, f"<{one['tag']}> ends as </{tag}>"
        if tag == "label" and "for" in one["attrs"]:
            self.labels[one["attrs"]["for"]] = one["text"]


@pytest.fixture(scope="module")
def controls():
    parser = Controls()
    parser.feed(HTML)
    assert not parser.stack
    return parser


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_other_host(path):
    text = path.read_text().replace(_NAMES_OF_SVG, "")
    assert not re.search(r"\b(https?|wss?):|@import|[\"'(](//|data:|blob:)\w", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 300


def test_nothing_inline():
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", HTML)
    assert re.findall(r"<script[^>]*>([^<]*)", HTML) == [""]


def test_all_files_are_used():
    text = "".join(path.read_text() for path in FILES)
    for path in FILES:
        if path.name != "index.html":
            assert path.name in text, f"{path.name} is used by none"
    for name in re.findall(r'from "\./(\S+)"', text):
        assert (PAGE / name).is_file()


def test_all_controls_have_names(controls):
    assert len(controls.found) > 40
    for one in controls.found:
        label = controls.labels.get(one["attrs"].get("id"), "")
        around = "".join(outer["text"] for outer in one["in"])
        named = one["attrs"].get("aria-label") or one["text"] or label or around
        assert named, f"no name: {one['tag']} {one['attrs']}"


def test_ids_that_scripts_ask_for_are_there():
    ids = set(re.findall(r'\bid="([\w-]+)"', HTML))
    assert len(ids) == len(re.findall(r'\bid="', HTML))
    for path in PAGE.glob("*.js"):
        for name in re.findall(r'\$\$?\("#([\w-]+)', path.read_text()):
            assert name in ids, f"{path.name}: #{name}"
    for name in re.findall(r'aria-\w+by="([\w-]+)"|href="#([\w-]+)"', HTML):
        assert "".join(name) in ids


def test_whatever_is_counted_may_be_one():
    """No number stands before a plural that is written out."""
    words = "photos|masks|classes|marks|actions|lines|bytes|tags|boxes"
    plural = re.compile(rf"\{{([^{{}}]+)\}} (?:{words})\b")
    for path in [*PAGE.glob("*.js"), *PAGE.parent.glob("*.py")]:
        for found in plural.finditer(path.read_text()):
            assert found[1].isupper(), f"{path.name}: {found[0]}"  # a constant


def test_formats_are_those_that_can_be_written():
    text = Path(PAGE / "dialogs.js").read_text()
    table = re.search(r"const FORMATS = \{(.*?)\};", text, re.DOTALL)
    assert set(re.findall(r"^  (\w+):", table[1], re.MULTILINE)) == set(WRITERS)


def test_the_docs_tell_the_same_keys():
    table = re.search(r"KEYS = \[(.*?)\n\];", (PAGE / "dialogs.js").read_text(), re.S)
    keys = re.findall(r'^  \["(.*)", "(.*)"\],$', table[1], re.MULTILINE)
    docs = (ROOT / "docs/label.md").read_text()
    assert len(keys) > 10
    assert [f"| {key} | {what} |" in docs for key, what in keys] == [True] * len(keys)
