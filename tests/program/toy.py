"""A run that sees colours, which compiles in no time, in the place of a trained one."""

from pathlib import Path

import numpy as np
from PIL import Image

from ppcjax.runs import Run
from tests.evaluate.masks.toy import CLASSES, colour_method

METHOD = colour_method()  # one, so that its programs are compiled once


def make_run(folder: Path, *, gives: str = "maps") -> Run:
    """A run below a folder; of another kind it predicts nothing."""
    config = {
        "name": "toy",
        "method": {"name": "toy"},
        "data": {},
        "eval": {"scales": [1.0], "flip": False, "gallery": 2, "batch_size": 2},
    }
    method = METHOD._replace(gives=gives)
    return Run(folder, 3, config, CLASSES, method, {"w": np.zeros(1)}, {})


def write_photo(file: Path, seed: int = 0, size: tuple[int, int] = (24, 30)) -> Path:
    """A photo with a red or a green square on grey, and folders around it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), 20 + seed % 7, np.uint8)
    pixels[4:16, 4:20, seed % 2] = 250
    Image.fromarray(pixels).save(file)
    return file


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but for the note that holds their times."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "finished.jsonl"
    }
