"""report.html: one page that holds all of an evaluation and loads nothing."""

import base64
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.evaluate.masks import page
from ppcjax.evaluate.masks.files import write_file
from ppcjax.evaluate.masks.metric import score_levels
from ppcjax.evaluate.masks.summary import nearest, threshold_text
from ppcjax.predict.tta import Prediction
from ppcjax.report.palette import class_colours
from ppcjax.types import IGNORE


class Tile(NamedTuple):
    """One image of the gallery.

    id: of the example.
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


def read_losses(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of every loss term in a metrics.jsonl; empty without one.

    Where a run was resumed and wrote a step twice, the later line counts.
    """
    if not path.is_file():
        return {}
    terms: dict[str, dict[int, float]] = {}
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing
        for name, value in row.items():
            if name.startswith("train/loss/") and value is not None:
                term = terms.setdefault(name.removeprefix("train/loss/"), {})
                term[row["step"]] = value
    ordered = sorted(terms, key=lambda name: (name != "total", name))
    return {
        name: tuple(map(list, zip(*sorted(terms[name].items()), strict=True)))
        for name in ordered
    }


def write_report(
    path: Path,
    summary: Mapping[str, Any],
    *,
    thresholds: Sequence[float],
    tiles: Sequence[Tile] = (),
    losses: Mapping[str, tuple[list[int], list[float]]] | None = None,
) -> None:
    """Writes the page.

    Args:
        path: the .html file.
        summary: what metrics.json holds.
        thresholds: as given to `make_tile`.
        tiles: the gallery.
        losses: as read by `read_losses`.
    """
    sections = [
        page.headline(summary),
        page.curve(summary),
        page.gallery(summary, tiles, thresholds),
        page.class_table(summary),
        page.losses(losses or {}),
        page.skipped(summary["skipped"]),
    ]
    write_page(
        path,
        title=f"{summary['config']} on {summary['split']}",
        lead=page.lead(summary),
        sections=sections,
        script=_template("report.js"),
        data=_data(summary, tiles, thresholds),
    )


def write_page(
    path: Path,
    *,
    title: str,
    lead: str,
    sections: Sequence[str],
    script: str = "",
    data: str = "null",
) -> None:
    """Writes a page in the style of the reports that loads nothing.

    Args:
        path: the .html file.
        title: plain text.
        lead: plain text under the title.
        sections: HTML; empty ones are left out.
        script: JavaScript at the end of the page.
        data: JSON that may stand inside a <script>, for the script to read.
    """
    parts = {
        "title": escape(title),
        "lead": escape(lead),
        "sections": "\n".join(filter(None, sections)),
        "style": _template("report.css"),
        "script": script,
        "data": data,
    }
    # One pass, so that nothing inside the parts is taken for a placeholder.
    text = re.sub(
        r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _template("report.html")
    )
    write_file(path, text.encode())


def _template(name: str) -> str:
    return (Path(__file__).parents[2] / "report" / "templates" / name).read_text(
        "utf-8"
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
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
