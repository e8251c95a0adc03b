"""Runs every command there is on a folder of a person: python -m ... WORLD.

WORLD holds data/ (photos, masks, tags and the file of a config), home/ and here/, the
current folder. Prints a line of JSON for each command: what it was, its exit code, and
what it changed of data/.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ppcjax import program
from ppcjax.evaluate.exporting import EXPORTS
from tests.faults.owners import snapshot

CONFIG = """
from ppcjax.configs import segment_shapes

def get_config():
    c = segment_shapes.get_config()
    c.name, c.steps, c.checkpoint_every, c.log_every = "mine", 2, 1, 1
    c.method.backbone_settings = dict(width=4)
    c.method.head_settings = dict(width=8, layers=1, rate=2)
    c.data = dict(
        source="folder", root={root!r}, with_masks=True, batch_size=2, crop=32,
        long_side=(32, 40), train_split="all", val_split="", eval_split="all",
        on_bad_image="stop", workers=0,
    )
    c.eval = dict(scales=(1.0,), gallery=2)
    return c
"""


def write(world: Path) -> None:
    """Makes the world."""
    rng, data = np.random.default_rng(0), world / "data"
    for folder in ("data/images", "data/masks", "home", "here", "temporary"):
        (world / folder).mkdir(parents=True)
    rows = ["image,tags"]
    for i in range(4):
        pixels = rng.integers(0, 60, (30, 40, 3), dtype=np.uint8)
        mask = np.zeros((30, 40), np.uint8)
        pixels[6:22, 8:30, i % 2], mask[6:22, 8:30] = 240, 1 + i % 2
        Image.fromarray(pixels).save(data / f"images/p{i}.jpg")
        Image.fromarray(mask).save(data / f"masks/p{i}.png")
        rows.append(f"p{i}.jpg,{('red', 'green')[i % 2]}")
    (data / "tags.csv").write_text("\n".join(rows))
    (data / "classes.txt").write_text("background\nred\ngreen\n")
    (data / "mine.py").write_text(CONFIG.format(root=str(data)))


def commands(data: Path) -> dict[str, list[list[str]]]:
    """What is typed, by the word that it begins with."""
    run, images = "--ckpt=runs/mine", f"{data}/images"
    files = {"export_model": "model"}
    return {
        "train": [[f"--config={data}/mine.py"]],
        "inspect": [[str(data)], [f"--config={data}/mine.py"]],
        "eval": [
            [run],
            [run, f"--images={images}", "--export=found"],
            *([run, f"--{o}={files.get(o, o + '.safetensors')}"] for o in EXPORTS),
        ],
        "predict": [["runs/mine", images, "--format=coco", "--scores"]],
        "score": [["predicted", str(data), "--out=scores", "--json=scores.json"]],
        "label": [["--help"]],  # else it serves until it is stopped
        "weights": [["list"]],
    }


def main(world: Path) -> None:
    """Runs them, one after the other."""
    data = world / "data"
    for word, lines in commands(data).items():
        for line in lines:
            before, code = snapshot(data), 0
            with contextlib.redirect_stdout(sys.stderr):
                try:
                    program.main(word, *line)
                except SystemExit as stop:
                    code = stop.code or 0
            after = snapshot(data)
            changed = sorted(k for k in before | after if before.get(k) != after.get(k))
            told = {"command": [word, *line], "code": code, "changed": changed}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(os.path.abspath(sys.argv[1])))
