"""Few-shot networks on photos of any size: examples as one batch, scores of a photo."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.predict import devices
from ppcjax.predict.canvases import canvas_size, scaled_side
from ppcjax.predict.queries import QueryPrediction, query_stride, to_photo
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError


class Examples(NamedTuple):
    """Masked photos as a network sees them.

    photos: [h, w, 3] uint8 each, shrunk.
    masks: [h, w] uint8 each: 0 background, j the j-th class, IGNORE unknown.
    shots: photos of each of the N classes.
    batch: support fields of an EpisodeBatch of one episode, and "shot_valid".
    """

    photos: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    shots: tuple[tuple[int, ...], ...]
    batch: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        images: Sequence[np.ndarray],
        masks: Sequence[Any],
        names: Sequence[str],
        size: int,
        max_shot: int,
    ) -> "Examples":
        """Photos and masks of any size, shrunk to `size` and set on canvases.

        Args:
            images: [H, W, 3] uint8 each.
            masks: [H, W] integers each.
            names: names of the classes; empty: as many as the masks show.
            size: longer side of photos in the network, pixels.
            max_shot: photos of a class for which one program is compiled.

        Raises:
            UserError: no photo shows a class, or a mask does not fit its photo.
        """
        masks = [np.asarray(mask) for mask in masks]
        count = class_count(images, masks, names)
        ways = range(1, count + 1)
        shots = tuple(
            tuple(i for i, mask in enumerate(masks) if (mask == way).any())
            for way in ways
        )
        for way, photos in zip(ways, shots, strict=True):
            if not photos:
                called = f" ({names[way - 1]})" if names else ""
                raise UserError(
                    f"no mask shows class {way}{called}; add an example, or take it "
                    "off the list of classes"
                )
        small = tuple(shrunk(x, size, Image.Resampling.BICUBIC) for x in images)
        nearest = Image.Resampling.NEAREST
        grey = tuple(shrunk(x.astype(np.uint8), size, nearest) for x in masks)
        most = max(max_shot, *map(len, shots))
        batch = empty_batch(count, most, canvas_size(size))
        for way, photos in enumerate(shots):
            for shot, i in enumerate(photos):
                _place(batch, (0, way, shot), small[i], _of_way(grey[i], way + 1))
        return cls(small, grey, shots, batch)


def class_count(images, masks, names: Sequence[str]) -> int:
    """N classes that masks show, or that are named; UserError where they do not fit."""
    if not len(images) or len(images) != len(masks):
        raise UserError(
            f"{len(images)} photos and {len(masks)} masks: give one mask for each photo"
        )
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        shape = image.shape[:2]
        if mask.shape != shape:
            raise UserError(
                f"support {number}: its mask has shape {mask.shape}, the photo "
                f"{shape}; save the mask at the size of the photo"
            )
    seen = max(int(np.max(m, where=np.not_equal(m, IGNORE), initial=0)) for m in masks)
    if names and seen > len(names):
        raise UserError(f"a mask holds class {seen}, and {len(names)} names are given")
    if not seen:
        raise UserError("no mask shows a class: all pixels are background or unknown")
    return len(names) or seen


def empty_batch(ways: int, shots: int, side: int) -> dict[str, np.ndarray]:
    """Support fields of one episode in which no shot is there yet."""
    return {
        "support_image": np.zeros((1, ways, shots, side, side, 3), np.uint8),
        "support_valid": np.tile(np.int32([0, 0, 1, 1]), (1, ways, shots, 1)),
        "support_mask": np.full((1, ways, shots, side, side), IGNORE, np.int32),
        "shot_valid": np.zeros((1, ways, shots), bool),
    }


def _of_way(mask: np.ndarray, way: int) -> np.ndarray:
    """1 the class, 0 background, IGNORE all others."""
    others = np.where(mask == 0, 0, IGNORE)
    return np.where(mask == way, 1, others)


def _place(batch, place: tuple[int, int, int], photo, mask) -> None:
    """Puts a support on its canvas."""
    height, width = photo.shape[:2]
    batch["support_image"][place][:height, :width] = photo
    batch["support_valid"][place] = (0, 0, height, width)
    batch["support_mask"][place][:height, :width] = mask
    batch["shot_valid"][place] = True


def shrunk(image: np.ndarray, size: int, how: Image.Resampling) -> np.ndarray:
    """The array at `size` pixels of its longer side."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    sides = scaled_side(width, scale), scaled_side(height, scale)
    return np.asarray(Image.fromarray(image).resize(sides, how))


def learn(run: Run, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the method of a run makes of examples, arrays [1, ...] by name."""
    seen = _seen(run, batch)
    found = devices.compiled(run.method.fit, run.method)(
        run.params, run.model_state, seen
    )
    return {name: np.asarray(value) for name, value in found.items()}


def _seen(run: Run, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A batch as the method of a run reads it."""
    return dict(batch) if run.method.look is None else run.method.look(batch)


def scores(
    run: Run,
    learnt: Mapping[str, np.ndarray],
    small: np.ndarray,
    size: tuple[int, int],
    *,
    stride: int = 0,
) -> np.ndarray:
    """Scores of the pixels of a photo.

    Args:
        run: few-shot network.
        learnt: what `learn` gives.
        small: [h, w, 3] uint8, the photo as the network sees it.
        size: (H, W) at which scores are wanted.
        stride: pixels per cell of the network's grid; 0: it is found out.

    Returns:
        [H, W, 1 + N] float32, the background's first.
    """
    height, width = small.shape[:2]
    canvas = np.zeros((1, 1, canvas_size(height), canvas_size(width), 3), np.uint8)
    canvas[0, 0, :height, :width] = small
    queries = {
        "query_image": canvas,
        "query_valid": np.array([[[0, 0, height, width]]], np.int32),
    }
    segment = devices.compiled(run.method.segment, run.method)
    found = segment(run.params, run.model_state, dict(learnt), _seen(run, queries))
    return to_photo(
        np.asarray(found["logits"])[0, 0],
        np.array([height, width]),
        size,
        stride=stride or query_stride(run),
        align_corners=QueryPrediction.of(run).align_corners,
    )
