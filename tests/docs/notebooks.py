"""Runs notebooks without a kernel: cells in one namespace, `!command` in a shell.

python -m tests.docs.notebooks FILE.ipynb ...           runs each, keeps what it shows
python -m tests.docs.notebooks --check FILE.ipynb ...   runs each, changes nothing

What a cell prints and the picture that its last line gives are its outputs, as Jupyter
has them; the files stay small, so that they can be read where nothing runs.
"""

import ast
import base64
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from tests.docs.blocks import ROOT

_SHELL = re.compile(r"^!((?:.*\\\n)*.*)$", re.MULTILINE)
_LONGEST = 40  # lines of text that are kept of a cell
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "COLUMNS": "88"}


class Cell(NamedTuple):
    """A cell of a notebook.

    number: its place, from 1.
    is_code: whether it is run.
    text: what stands in it.
    """

    number: int
    is_code: bool
    text: str


def cells(text: str) -> Iterator[Cell]:
    """The cells of a notebook, in order."""
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        joined = "".join(cell["source"])
        yield Cell(number, cell["cell_type"] == "code", joined)


def commands(cell: Cell) -> list[str]:
    """What stands behind "!" in a cell."""
    return _SHELL.findall(cell.text)


def python(cell: Cell) -> str:
    """A cell as Python: "!command" becomes a call of `shell`."""
    return _SHELL.sub(lambda found: f"shell({found[1]!r})", cell.text)


def run(path: Path, folder: Path) -> list[list[dict[str, Any]]]:
    """Runs a notebook in a folder and gives the outputs of each cell.

    Raises:
        AssertionError: a command ends with another exit code than 0.
    """
    space: dict[str, Any] = {"__name__": "__main__", "shell": _shell}
    found = []
    with contextlib.chdir(folder):
        for cell in cells(path.read_text()):
            outputs = _run_cell(cell, path.name, space) if cell.is_code else []
            found.append(outputs)
    return found


def _run_cell(cell: Cell, name: str, space: dict[str, Any]) -> list[dict[str, Any]]:
    tree = ast.parse(python(cell))
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    said = io.StringIO()
    where = f"{name}, cell {cell.number}"
    with contextlib.redirect_stdout(said):
        exec(compile(tree, where, "exec"), space)
        value = None if last is None else eval(compile(last, where, "eval"), space)
    outputs = []
    if said.getvalue():
        text = _without_places(said.getvalue())
        lines = text.splitlines(keepends=True)[-_LONGEST:]
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines})
    if value is not None:
        outputs.append(_result(value))
    return outputs


def _without_places(text: str) -> str:
    """What was said, without where this machine keeps its packages and folders."""
    for place in (sysconfig.get_path("purelib"), os.getcwd(), str(ROOT)):
        text = text.replace(f"{place}/", "")
    return text


def _result(value: Any) -> dict[str, Any]:
    if isinstance(value, Image.Image):
        content = io.BytesIO()
        value.convert("RGB").save(content, "JPEG", quality=80)
        shown = {"image/jpeg": base64.b64encode(content.getvalue()).decode()}
    else:
        shown = {}
    plain = f"<picture, {value.size}>" if shown else repr(value)
    data = {**shown, "text/plain": [plain]}
    return {"data": data, "metadata": {}, "output_type": "display_data"}


def _shell(text: str) -> None:
    """Runs a command; `ppcjax` is that of this checkout."""
    program = f"{sys.executable} -m ppcjax "
    typed = re.sub(r"^\s*ppcjax ", lambda _: program, text)
    done = subprocess.run(
        ["bash", "-c", typed],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
    )
    print(done.stdout, end="")
    assert not done.returncode, f"{text}\n{done.stdout}\n{done.stderr}"


def keep(path: Path, check: bool = False) -> None:
    """Runs a notebook and, unless it is only checked, writes its outputs into it."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(path.absolute(), Path(folder))
    if check:
        return
    whole = json.loads(path.read_text())
    for cell, outputs in zip(whole["cells"], found, strict=True):
        if cell["cell_type"] == "code":
            cell["outputs"] = outputs
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if argument != "--check":
            keep(Path(argument), check="--check" in sys.argv)
