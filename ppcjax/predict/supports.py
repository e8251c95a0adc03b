"""Masks of new classes from one to five masked examples, without training.

from ppcjax import fewshot

found = fewshot.fit(images, masks, run="runs/panet_mobilenet")
mask = found.predict(photo)           # [H, W], 0 background, j the j-th class
found.save("dog.npz")
found = fewshot.load("dog.npz")
"""

import dataclasses
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from ppcjax.predict.canvases import canvas_size, scaled_side
from ppcjax.predict.images import as_image
from ppcjax.predict.queries import QueryPrediction, query_stride, to_photo
from ppcjax.runs import Run, open_run
from ppcjax.runs.files import read_arrays
from ppcjax.types import IGNORE, UserError


@dataclasses.dataclass(frozen=True)
class Prototypes:
    """What a network learnt from a few masked photos.

    run: network that compares photos with the prototypes.
    arrays: prototypes as the method made them, each [1, ...].
    names: names of the N classes.
    size: longer side of photos in the network, pixels.
    """

    run: Run
    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    size: int

    def logits(self, photo: Any) -> np.ndarray:
        """Scores of each pixel.

        Args:
            photo: array, PIL image or path, see `as_image`.

        Returns:
            [H, W, 1 + N] float32, the background's first.
        """
        image = as_image(photo)
        small = _shrunk(image, self.size, Image.Resampling.BICUBIC)
        height, width = small.shape[:2]
        canvas = np.zeros((1, 1, canvas_size(height), canvas_size(width), 3), np.uint8)
        canvas[0, 0, :height, :width] = small
        queries = {
            "query_image": canvas,
            "query_valid": np.array([[[0, 0, height, width]]], np.int32),
        }
        run = self.run
        found = _compiled(run.method.segment)(
            run.params, run.model_state, self.arrays, queries
        )
        return to_photo(
            np.asarray(found["logits"])[0, 0],
            np.array([height, width]),
            image.shape[:2],
            stride=self._stride,
            align_corners=QueryPrediction.of(run).align_corners,
        )

    @functools.cached_property
    def _stride(self) -> int:
        return query_stride(self.run)

    def predict(self, photo: Any) -> np.ndarray:
        """Mask [H, W] uint8 of a photo: 0 background, j the j-th class."""
        return self.logits(photo).argmax(-1).astype(np.uint8)

    def save(self, path: str | Path) -> None:
        """Writes an .npz file; it names the run and holds no network."""
        with Path(path).open("wb") as file:
            file.write(self.as_file())

    def as_file(self) -> bytes:
        """What `save` writes."""
        meta = {
            "run": str(self.run.folder),
            "step": self.run.step,
            "names": self.names,
            "size": self.size,
        }
        content = io.BytesIO()
        np.savez_compressed(content, meta=json.dumps(meta), **self.arrays)
        return content.getvalue()


def load(path: str | Path, *, run: str | Path | Run | None = None) -> Prototypes:
    """Prototypes that were saved.

    Args:
        path: file that `Prototypes.save` wrote.
        run: folder or run whose network made them; None: the one the file names.

    Raises:
        UserError: no such file, or the run is at another step.
    """
    try:
        arrays = read_arrays(Path(path).expanduser())
        meta = json.loads(str(arrays.pop("meta")))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: is no file of prototypes ({error})") from error
    run = open_few_shot(run or meta["run"])
    if run.step != meta["step"]:
        raise UserError(
            f"{path}: was made at step {meta['step']}, and {run.folder} is at "
            f"{run.step}; make it again, or give that checkpoint as run"
        )
    return Prototypes(run, arrays, tuple(meta["names"]), meta["size"])


def fit(
    images: Sequence[Any],
    masks: Sequence[np.ndarray],
    *,
    run: str | Path | Run,
    names: Sequence[str] = (),
    size: int = 0,
    max_shot: int = 5,
) -> Prototypes:
    """Learns classes from masked photos, without training.

    Args:
        images: arrays, PIL images or paths, see `as_image`; of any size.
        masks: [H, W] integers each: 0 background, j the j-th class, IGNORE (255)
            unknown. Scribbles are masks that are mostly 255; boxes are filled ones.
        run: trained few-shot run, or its folder.
        names: names of the classes; empty: "1", "2", ...
        size: longer side of photos in the network, pixels; 0: config.data.crop.
        max_shot: photos of a class for which one program is compiled; more are fine.

    Returns:
        The prototypes of the N classes and of the background.

    Raises:
        UserError: no photo shows a class, or a mask does not fit its photo.
    """
    run = open_few_shot(run)
    size = size or run.config["data"]["crop"]
    images = [as_image(image, f"support {i}") for i, image in enumerate(images)]
    count = _class_count(images, masks, names)
    shots = [
        [i for i, mask in enumerate(masks) if (np.asarray(mask) == way).any()]
        for way in range(1, count + 1)
    ]
    empty = [way for way, photos in enumerate(shots, start=1) if not photos]
    if empty:
        raise UserError(f"no mask shows class {empty[0]}; add one, or renumber classes")
    most = max(max_shot, *(len(photos) for photos in shots))
    side = canvas_size(size)
    batch = {
        "support_image": np.zeros((1, count, most, side, side, 3), np.uint8),
        "support_valid": np.tile(np.int32([0, 0, 1, 1]), (1, count, most, 1)),
        "support_mask": np.full((1, count, most, side, side), IGNORE, np.int32),
        "shot_valid": np.zeros((1, count, most), bool),
    }
    for way, photos in enumerate(shots):
        for shot, i in enumerate(photos):
            _place(batch, (0, way, shot), images[i], np.asarray(masks[i]), size)
    arrays = _compiled(run.method.fit)(run.params, run.model_state, batch)
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    names = tuple(names) or tuple(str(way) for way in range(1, count + 1))
    return Prototypes(run, arrays, names, size)


def _class_count(images, masks, names) -> int:
    if not len(images) or len(images) != len(masks):
        raise UserError(
            f"{len(images)} photos and {len(masks)} masks: give one mask for each photo"
        )
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        shape = image.shape[:2]
        if np.shape(mask) != shape:
            raise UserError(
                f"support {number}: its mask has shape {np.shape(mask)}, the photo "
                f"{shape}; save the mask at the size of the photo"
            )
    seen = max(int(np.max(m, where=np.not_equal(m, IGNORE), initial=0)) for m in masks)
    if names and seen > len(names):
        raise UserError(f"a mask holds class {seen}, and {len(names)} names are given")
    if not (seen or names):
        raise UserError("no mask shows a class: all pixels are background or unknown")
    return len(names) or seen


def _place(batch, place: tuple[int, int, int], image, mask, size: int) -> None:
    """Puts a support of way `place[1]` on its canvas."""
    way = place[1] + 1
    mask = np.where((mask == 0) | (mask == IGNORE), mask, np.where(mask == way, 1, 255))
    small = _shrunk(np.asarray(image), size, Image.Resampling.BICUBIC)
    height, width = small.shape[:2]
    mask = _shrunk(mask.astype(np.uint8), size, Image.Resampling.NEAREST)
    batch["support_image"][place][:height, :width] = small
    batch["support_valid"][place] = (0, 0, height, width)
    batch["support_mask"][place][:height, :width] = mask
    batch["shot_valid"][place] = True


def _shrunk(image: np.ndarray, size: int, how: Image.Resampling) -> np.ndarray:
    """The array at `size` pixels of its longer side."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    sides = scaled_side(width, scale), scaled_side(height, scale)
    return np.asarray(Image.fromarray(image).resize(sides, how))


def open_few_shot(run: str | Path | Run) -> Run:
    """A run that learns from examples; UserError for one that does not."""
    run = run if isinstance(run, Run) else open_run(run)
    if run.method.fit is None:
        raise UserError(
            f"{run.name} does not learn from examples; give a run of panet or asgnet"
        )
    return run


# One compiled program per method and shape, however many prototypes use it.
_compiled = functools.lru_cache(maxsize=16)(jax.jit)
