"""Builds wheel and source archive as pip does, in a process and folder of its own."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_BUILD = """
import os, sys
from hatchling import build
for kind in ("wheel", "editable", "sdist"):
    folder = os.path.join(sys.argv[1], kind)
    os.mkdir(folder)
    getattr(build, f"build_{kind}")(folder)
"""


class Built(NamedTuple):
    """Where the files are: a wheel, one that points to a checkout, and the source."""

    wheel: Path
    editable: Path
    source: Path


def built(folder: Path, out: Path) -> Built:
    """Builds all three from a folder that has a pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, out], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Built(
        *(next((out / kind).iterdir()) for kind in ("wheel", "editable", "sdist"))
    )
