"""The site: its pages from outside docs/, their links, the modules of the reference."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ppcjax
from tests.docs.blocks import ROOT

# It is found by its file, as mkdocs does it.
_SPEC = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "site.py")
site = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(site)
VENV = ROOT / ".venv-docs"


@pytest.mark.parametrize(
    ("page", "path", "target", "there"),
    [
        ("index.md", "README.md", "docs/data.md#masks", "data.md#masks"),
        ("index.md", "README.md", "CONTRIBUTING.md", "contributing.md"),
        ("index.md", "README.md", "https://a.org/docs/x", "https://a.org/docs/x"),
        ("data.md", "docs/data.md", "#masks", "#masks"),
        ("data.md", "docs/data.md", "weights.md", "weights.md"),
        ("data.md", "docs/data.md", "../README.md", "index.md"),
        ("a/b.md", "docs/a/b.md", "../../README.md", "../index.md"),
        ("a/b.md", "docs/a/b.md", "../data.md", "../data.md"),
        ("data.md", "docs/data.md", "../configs/base.py", None),
    ],
)
def test_links_are_those_of_the_site(page, path, target, there):
    relinked = site._relinked(f"see [it]({target})", page, path)
    assert relinked == ("see it" if there is None else f"see [it]({there})")


@pytest.mark.parametrize("name", site.REFERENCE)
def test_the_reference_names_modules_that_there_are(name):
    found = site.shown(name)
    assert found
    for module in found:
        assert importlib.util.find_spec(module), module


@pytest.mark.slow
def test_what_is_public_is_in_the_reference_once():
    pages = [module for name in site.REFERENCE for module in site.shown(name)]
    assert len(pages) == len(set(pages))
    shown = set(site.shown("python"))
    assert {"ppcjax", *ppcjax._LATER.values()} <= shown


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_other_host(tmp_path):
    """In an environment of its own, which `make docs` makes too."""
    if not (VENV / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [VENV / "bin" / "pip", "install", "-q", "-r", "requirements-docs.txt"]
        subprocess.run(pip, cwd=ROOT, check=True)
        (VENV / "ready").touch()
    build = [VENV / "bin" / "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-3000:]
    _assert_asks_nobody(tmp_path)


def _assert_asks_nobody(folder: Path) -> None:
    for page in folder.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)", text)
        loaded += re.findall(r"<link[^>]*\shref=\"([^\"]+)", text)
        assert not [where for where in loaded if "//" in where], page
