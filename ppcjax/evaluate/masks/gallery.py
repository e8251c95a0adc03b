"""The gallery of a report on masks, and the page around it."""

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.evaluate.masks import page as sections
from ppcjax.evaluate.masks.summary import nearest, threshold_text
from ppcjax.predict.prediction import Prediction, score_levels
from ppcjax.report.page import Page, as_script_data, template
from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE


class Tile(NamedTuple):
    """One image of the gallery.

    id: name of the photo.
    tags: ids of the classes it shows, without background.
    tags_given: whether they were given, not predicted.
    photo: JPEG.
    planes: [4, h, w] uint8: score of the best class in 1/255, number of thresholds
        below it, that class, and the true class (IGNORE everywhere without a mask).
    has_truth: whether there is a mask.
    """

    id: str
    tags: tuple[int, ...]
    tags_given: bool
    photo: bytes
    planes: np.ndarray
    has_truth: bool


def make_tile(
    prediction: Prediction, thresholds: Sequence[float], *, side: int = 320
) -> Tile:
    """Brings a prediction to the size that the gallery shows.

    Every plane takes the nearest pixel, so that a mask in the page is exactly that
    of the full image at the pixels it shows. Small images grow by a whole factor.

    Args:
        prediction: scores and their example.
        thresholds: ascending; those that the page's slider offers, at most 255.
        side: longest side of the tile in pixels.
    """
    example = prediction.example
    height, width = example.image.shape[:2]
    longest = max(height, width)
    factor = side / longest if longest > side else side // longest
    size = [max(round(length * factor), 1) for length in (height, width)]
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size, (height, width), strict=True)
    )
    nearest = np.ix_(rows, columns)
    level, best = score_levels(
        prediction.scores[nearest], np.asarray(thresholds, np.float32)
    )
    score = prediction.scores[nearest].max(-1).clip(0, 1) * 255
    truth = np.full(size, IGNORE) if example.mask is None else example.mask[nearest]
    photo = io.BytesIO()
    Image.fromarray(example.image).resize(size[::-1], Image.Resampling.LANCZOS).save(
        photo, "JPEG", quality=85
    )
    return Tile(
        id=example.id,
        tags=tuple((np.flatnonzero(prediction.tags[1:]) + 1).tolist()),
        tags_given=example.tags is not None,
        photo=photo.getvalue(),
        planes=np.stack([score.round(), level, best, truth]).astype(np.uint8),
        has_truth=example.mask is not None,
    )


def page(
    summary: Mapping[str, Any], tiles: Sequence[Tile], thresholds: Sequence[float]
) -> Page:
    """What the report shows.

    Args:
        summary: what metrics.json holds.
        tiles: the gallery.
        thresholds: those given to `make_tile`.
    """
    return Page(
        title=f"{summary['config']} on {summary['split']}",
        lead=sections.lead(summary),
        sections=[
            sections.headline(summary),
            sections.curve(summary),
            sections.gallery(summary, tiles, thresholds),
            sections.class_table(summary),
        ],
        script=template("report.js"),
        data=_data(summary, tiles, thresholds),
    )


def _data(summary, tiles, thresholds) -> str:
    """What the script draws from, as JSON that may stand inside a <script>."""
    content = {
        "thresholds": [float(t) for t in thresholds],
        "labels": [threshold_text(t) for t in thresholds],
        "mean_iou": summary["curve"] and summary["curve"]["mean_iou"],
        "palette": class_colours(background=summary["background"]).tolist(),
        "background": summary["background"],
        "position": nearest(thresholds, summary["exported"]["threshold"]),
        "tiles": [
            {
                "id": tile.id,
                "width": tile.planes.shape[2],
                "height": tile.planes.shape[1],
                "has_truth": tile.has_truth,
                "packed": base64.b64encode(
                    zlib.compress(tile.planes.tobytes(), 9)
                ).decode(),
            }
            for tile in tiles
        ],
    }
    return as_script_data(content)
