"""Masks of new classes from one to five masked examples, without training.

from ppcjax import fewshot

found = fewshot.fit(images, masks, run="runs/panet_mobilenet")
mask = found.predict(photo)           # [H, W], 0 background, j the j-th class
found.save("dog.npz")
found = fewshot.load("dog.npz")

Without any training: run=fewshot.untrained(config), such as that of panet_folder.
"""

import dataclasses
import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ppcjax.predict import by_examples
from ppcjax.predict.images import as_image
from ppcjax.predict.none_of_these import (
    NoneOfThese,
    similarity_scale,
    take_out,
    thresholds,
)
from ppcjax.predict.queries import query_stride
from ppcjax.runs import Run, open_run
from ppcjax.runs.files import read_arrays
from ppcjax.runs.run import is_config
from ppcjax.types import UserError
from ppcjax.weights.untrained import open_untrained


@dataclasses.dataclass(frozen=True)
class Prototypes:
    """What a network learnt from a few masked photos.

    run: network that compares photos with the prototypes.
    arrays: prototypes as the method made them, each [1, ...].
    names: names of the N classes.
    size: longer side of photos in the network, pixels.
    least: similarity of each class below which a photo shows none of it, see
        `ppcjax.predict.none_of_these`; empty: every photo shows what it shows most.
    """

    run: Run
    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    size: int
    least: tuple[float, ...] = ()

    def logits(self, photo: Any) -> np.ndarray:
        """Scores of each pixel.

        Args:
            photo: array, PIL image or path, see `as_image`.

        Returns:
            [H, W, 1 + N] float32, the background's first.
        """
        image = as_image(photo)
        small = by_examples.shrunk(image, self.size, Image.Resampling.BICUBIC)
        logits = by_examples.scores(
            self.run, self.arrays, small, image.shape[:2], stride=self._stride
        )
        if not self.least:
            return logits
        return take_out(logits, similarity_scale(self.run), self.least)

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
            "none_of_these": self.least,
        }
        if self.run.untrained:
            meta["config"] = self.run.config
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
        names, size = tuple(map(str, meta["names"])), int(meta["size"])
        least = tuple(
            map(float, meta.get("none_of_these", ()))
        )  # new: not in all files
        step, folder, config = meta["step"], str(meta["run"]), meta.get("config")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is no file of prototypes ({error})") from error
    if run is None and config is not None:
        run = _as_named(path, config)
    run = open_few_shot(run or folder)
    if run.step != step:
        raise UserError(
            f"{path}: was made at step {step}, and {run.folder} is at "
            f"{run.step}; make it again, or give that checkpoint as run"
        )
    return Prototypes(run, arrays, names, size, least)


def _as_named(path: str | Path, config: Any) -> Run:
    """The untrained network that a file describes; nothing is downloaded for it."""
    if not is_config(config) or "://" in str(config.get("init_from")):
        raise UserError(
            f"{path}: names no weights that are opened from a file of strangers; give "
            "run=fewshot.untrained(config)"
        )
    return open_untrained(config)


def untrained(config: Any) -> Run:
    """A network as the weights of config.init_from are, which needs no training.

    Args:
        config: config of a method, such as `panet_folder.get_config()` of
            `ppcjax.configs`, or a mapping.

    Returns:
        A Run for `fit`.

    Raises:
        UserError: the method needs training, or its weights cannot be had.
    """
    return open_untrained(config if isinstance(config, Mapping) else config.to_dict())


def fit(
    images: Sequence[Any],
    masks: Sequence[np.ndarray],
    *,
    run: str | Path | Run,
    names: Sequence[str] = (),
    size: int = 0,
    max_shot: int = 5,
    none_of_these: NoneOfThese = "auto",
) -> Prototypes:
    """Learns classes from masked photos, without training.

    Args:
        images: arrays, PIL images or paths, see `as_image`; of any size.
        masks: [H, W] integers each: 0 background, j the j-th class, IGNORE (255)
            unknown. Scribbles are masks that are mostly 255; boxes are filled ones.
        run: trained few-shot run, or its folder, or what `untrained` gives.
        names: names of the classes; empty: "1", "2", ...
        size: longer side of photos in the network, pixels; 0: config.data.crop.
        max_shot: photos of a class for which one program is compiled; more are fine.
        none_of_these: similarity of what is found to a class below which a photo shows
            none of it, a cosine; "auto" chooses it for each class from the examples,
            where the network compares by cosines; "off": none.

    Returns:
        The prototypes of the N classes and of the background.

    Raises:
        UserError: no photo shows a class, or a mask does not fit its photo.
    """
    run = open_few_shot(run)
    size = size or run.config["data"]["crop"]
    images = [as_image(image, f"support {i}") for i, image in enumerate(images)]
    examples = by_examples.Examples.of(images, masks, names, size, max_shot)
    arrays = by_examples.learn(run, examples.batch)
    least = thresholds(none_of_these, run, examples)
    ways = range(1, len(examples.shots) + 1)
    names = tuple(names) or tuple(str(way) for way in ways)
    return Prototypes(run, arrays, names, size, least)


def open_few_shot(run: str | Path | Run) -> Run:
    """A run that learns from examples; UserError for one that does not."""
    run = run if isinstance(run, Run) else open_run(run)
    if run.method.fit is None:
        raise UserError(
            f"{run.name} does not learn from examples; give a run of panet or asgnet"
        )
    return run
