"""Photos of coloured squares, sessions on them, and a tiny network that sees them."""

import functools
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from ppcjax import methods
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.label.album import open_album
from ppcjax.label.found import Found
from ppcjax.label.session import Session
from ppcjax.runs import Run
from ppcjax.weights.released import SHAPES
from tests.frozen import networks

SIDE = 64  # pixels of the network
SQUARE = (slice(10, 40), slice(12, 44))


def write_photos(root: Path, count: int = 4, size: tuple[int, int] = (48, 60)) -> Path:
    """Grey photos with a square, red or green in turn."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(90, 110, (*size, 3), dtype=np.uint8)
        pixels[SQUARE] = (230, 20, 30) if i % 2 == 0 else (20, 220, 40)
        Image.fromarray(pixels).save(root / f"p{i}.png")
    return root


def session(root: Path) -> Session:
    """A session of the photos in a folder, its labels beside them."""
    folder = root.with_name(f"{root.name}-labels")
    folder.mkdir(exist_ok=True)
    found = Found(root)
    album = open_album(root, found.files, folder / ".thumbnails")
    opened = Session(album, folder, found)
    found.enter(opened)
    return opened


@functools.cache
def network() -> Run:
    """A few-shot network on random features of colours."""
    frozen = networks.network()
    method = {"name": "ridge", "backbone": "frozen", "endpoint": "embedding"}
    method = kept.fitted(method, frozen.settings)
    made = attached(methods.make(method, 2), frozen)
    params, state = made.keep(*made.init(jax.random.key(0), SHAPES))
    config = {
        **{"name": "tiny", "method": method, "data": {"crop": SIDE}},
        "eval": {"align_corners": False},
    }
    return Run(Path("runs/tiny"), 0, config, (), made, params, state)


def stroke(photo: int, class_id: int, *points, width: float = 6, **more) -> dict:
    """A stroke as a client sends it."""
    return {
        **{"kind": "stroke", "photo": photo, "class": class_id, "width": width},
        "points": [list(point) for point in points],
        **more,
    }


def marked(opened: Session, count: int = 2) -> None:
    """Adds classes red and green, and scribbles on the first photos."""
    asked = [{"kind": "class_add", "name": name} for name in ("red", "green")]
    for i in range(count):
        asked.append(stroke(i, 1 + i % 2, (18, 25), (38, 25)))
        asked.append(stroke(i, 0, (3, 3), (56, 3)))
    done = opened.do(asked)
    assert not done["refused"], done


def propose(session, i=0):
    """Proposes a square on a photo; returns its mask."""
    mask = np.zeros((48, 60), np.uint8)
    mask[SQUARE] = 1 + i % 2
    session.propose(i, mask, 0.25, after=session.state.n)
    return mask
