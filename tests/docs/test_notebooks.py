"""The notebooks: their commands can be typed, they run to the end, they stay small."""

import ast
import json
import os
import subprocess
import sys

import pytest

from tests.docs import blocks, notebooks
from tests.docs.blocks import ROOT, Block
from tests.docs.checks import check
from tests.docs.networks import Networks

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
LARGEST = 150_000  # bytes, so that a page that shows one loads at once


def _name(path):
    return path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_what_a_notebook_says_can_be_typed(path):
    networks = Networks()
    for cell in notebooks.cells(path.read_text()):
        if not cell.is_code:
            continue
        ast.parse(notebooks.python(cell))
        for text in notebooks.commands(cell):
            block = Block(path.name, cell.number, "sh", text)
            for command in blocks.commands_of(block):
                check(command, networks)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_is_small_and_what_is_kept_shows_pictures(path):
    assert path.stat().st_size < LARGEST
    cells = json.loads(path.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    kept = [output for output in outputs if "image/jpeg" in output.get("data", {})]
    assert bool(kept) == bool(outputs)  # all of them, or none
    assert str(ROOT.parent) not in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_runs_to_its_end(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.notebooks", "--check", path],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr[-3000:]


def test_cells_give_what_they_print_and_their_last_picture(tmp_path):
    picture = "from PIL import Image\n!echo a \\\n    b\nImage.new('L', (3, 2), 9)"
    texts = ["x = 2\nprint(x)\nNone", "# words", picture, "x + 1"]
    kinds = ["code", "markdown", "code", "code"]
    file = tmp_path / "some.ipynb"
    pairs = zip(kinds, texts, strict=True)
    cells = [{"cell_type": kind, "source": [text]} for kind, text in pairs]
    file.write_text(json.dumps({"cells": cells}))
    first, words, third, last = notebooks.run(file, tmp_path)
    assert [out["text"] for out in first] == [["2\n"]] and words == []
    assert third[0]["text"] == ["a b\n"] and "image/jpeg" in third[1]["data"]
    assert last[0]["data"] == {"text/plain": ["3"]}


def test_a_command_that_fails_stops_a_notebook(tmp_path):
    file = tmp_path / "some.ipynb"
    cell = {"cell_type": "code", "source": ["!echo so; exit 3"]}
    file.write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(AssertionError, match="so"):
        notebooks.run(file, tmp_path)
