"""HTML comes from templates alone, which escape all that is filled in."""

import ast
import re
from pathlib import Path

import pytest

from ppcjax.report import html

ROOT = Path(__file__).resolve().parents[2] / "ppcjax"
SOURCES = sorted(
    p for part in ("report", "evaluate") for p in (ROOT / part).rglob("*.py")
)
TEMPLATES = sorted(html.TEMPLATES.rglob("*.html"))
TAG = re.compile(r"</?[a-zA-Z!]|&[a-z]+;")


def strings(path):
    """Texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    told = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node not in told:
                yield node.value


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def test_no_module_writes_tags():
    with_tags = {name_of(p) for p in SOURCES if any(map(TAG.search, strings(p)))}
    # To find the headings of what templates gave is to read tags, not to write them.
    assert with_tags <= {"report/page.py"}, "put it into a file of report/templates"


def test_nothing_but_the_shell_says_that_text_is_html():
    calls = re.compile(r"\bMarkup\((?!\)|\"\\n\"\))|html\.escape|import escape")
    found = {name_of(p) for p in SOURCES if calls.search(p.read_text())}
    assert found <= {"report/html.py", "report/page.py"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_escape_and_quote_everything(path):
    text = path.read_text()
    assert not re.search(r"\|\s*safe|autoescape", text)
    assert not re.search(r"=\s*\{\{", text), "an attribute without quotes"
    assert "'{{" not in text, "attributes have double quotes"
    assert not re.search(r"https?:|url\(|@import|\bon[a-z]+=", text)


def test_what_is_filled_in_is_text():
    bad = "\"><script>{{ x }}</script>'&"
    found = html.render("image.html", content="", alt=bad, kind="", group="")
    assert "<script" not in found and '"><' not in found and "{{ x }}" in found
