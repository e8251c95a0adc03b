"""The gallery of a report on masks, and the page around it."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from ppcjax.evaluate.masks import listing
from ppcjax.evaluate.masks import page as sections
from ppcjax.evaluate.masks.summary import nearest, threshold_text
from ppcjax.predict.prediction import Prediction, score_levels
from ppcjax.report.html import render, source
from ppcjax.report.overlay import as_jpeg
from ppcjax.report.page import Page, as_script_data
from ppcjax.report.palette import class_colours
from ppcjax.report.text import percent
from ppcjax.types import IGNORE

_SCRIPTS = ("masks/gallery.js", "masks/photos.js")


class Tile(NamedTuple):
    """One image of the gallery.

    id: name of the photo.
    tags: ids of the classes it shows, without background.
    tags_given: whether they were given, not predicted.
    photo: JPEG, of the proportions of the planes and larger where the image is.
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
    prediction: Prediction,
    thresholds: Sequence[float],
    *,
    side: int = 320,
    photo_side: int = 800,
) -> Tile:
    """Brings a prediction to the size that the gallery shows.

    Every plane takes the nearest pixel, so that a mask in the page is exactly that
    of the full image at the pixels it shows. Small images grow by a whole factor.

    Args:
        prediction: scores and their example.
        thresholds: ascending; those that the page's slider offers, at most 255.
        side: longest side of the planes in pixels.
        photo_side: longest side of the photo in pixels, which opens large.
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
    return Tile(
        id=example.id,
        tags=tuple((np.flatnonzero(prediction.tags[1:]) + 1).tolist()),
        tags_given=example.tags is not None,
        photo=_jpeg(example.image, size, photo_side),
        planes=np.stack([score.round(), level, best, truth]).astype(np.uint8),
        has_truth=example.mask is not None,
    )


def _jpeg(image: np.ndarray, least: Sequence[int], side: int) -> bytes:
    """The photo at most `side` pixels long, but at least as large as `least`."""
    height, width = image.shape[:2]
    factor = min(side / max(height, width), 1)
    size = [max(round(length * factor), 1) for length in (height, width)]
    size = max(size, [*least])
    small = Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS)
    return as_jpeg(np.asarray(small), quality=82)


def page(
    summary: Mapping[str, Any],
    tiles: Sequence[Tile],
    thresholds: Sequence[float],
    rows: Sequence[Mapping[str, Any]] = (),
) -> Page:
    """What the report shows.

    Args:
        summary: what metrics.json holds.
        tiles: the gallery.
        thresholds: those given to `make_tile`.
        rows: what is told of each photo, see `ppcjax.evaluate.masks.rows.row`.
    """
    return Page(
        title=f"{summary['config']} on {summary['split']}",
        lead=sections.lead(summary),
        sections=[
            render("masks/style.html", style=source("masks/gallery.css")),
            sections.headline(summary),
            sections.curve(summary),
            gallery(summary, tiles, thresholds, rows),
            sections.class_table(summary),
            listing.areas(summary, rows),
            listing.photos(summary, rows),
        ],
        script=Markup("\n").join(map(source, _SCRIPTS)),
        data=_data(summary, tiles, thresholds, rows),
    )


def gallery(
    summary: Mapping[str, Any],
    tiles: Sequence[Tile],
    thresholds: Sequence[float],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """Photos, scores, masks and truth, and the slider that redraws the masks."""
    if not tiles:
        return ""
    swept = sections.is_swept(summary)
    count = f"{len(tiles)} of {summary['images']} images, evenly spaced over the split"
    notes = ["All images" if len(tiles) == summary["images"] else count]
    if summary["unswept"]:
        notes.append(f"No slider: {summary['unswept']}")
    told = {row["id"]: row for row in rows}
    return render(
        "masks/gallery.html",
        note=f"{'. '.join(notes)}.",
        slider=_slider(summary, thresholds) if swept else None,
        legend=_legend(summary, tiles),
        heat=summary["background"],
        tiles=[_shown(tile, summary, told.get(tile.id)) for tile in tiles],
    )


def _slider(summary: Mapping[str, Any], thresholds: Sequence[float]) -> dict[str, Any]:
    places = {
        name: nearest(thresholds, row["threshold"])
        for name, row in summary["thresholds"].items()
        if row is not None
    }
    return {
        "last": len(thresholds) - 1,
        "start": nearest(thresholds, summary["exported"]["threshold"]),
        "buttons": [
            {"place": place, "title": sections.TITLES[name]}
            for name, place in places.items()
        ],
    }


def _legend(summary: Mapping[str, Any], tiles: Sequence[Tile]) -> list[dict[str, Any]]:
    chips, classes = sections.class_chips(summary), summary["classes"]
    found = {0}.union(*(_classes_of(tile) for tile in tiles))
    if summary["background"]:
        found.remove(0)
    legend = [{"chip": chips[c], "name": classes[c]} for c in sorted(found)]
    if any(tile.has_truth and (tile.planes[3] == IGNORE).any() for tile in tiles):
        legend.append({"chip": chips[IGNORE], "name": "void, counts nowhere"})
    return legend


def _classes_of(tile: Tile) -> set[int]:
    truth = np.unique(tile.planes[3]).tolist() if tile.has_truth else []
    return {c for c in (*tile.tags, *truth) if c != IGNORE}


def _shown(
    tile: Tile, summary: Mapping[str, Any], row: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the template shows of a photo."""
    name, tags = listing.shown(tile.id), ""
    alt = f"Photo {name}"
    if summary["background"]:  # else nobody tags photos
        found = ", ".join(summary["classes"][c] for c in tile.tags) or "no class"
        tags = f"{'tags' if tile.tags_given else 'predicted tags'}: {found}"
        alt += f": {found}"
    panels = {
        "photo": "Photo",
        "scores": "Score of the best class" if summary["background"] else "",
        "prediction": "Predicted mask",
        "truth": "True mask" if tile.has_truth else "",
    }
    height, width = tile.planes.shape[1:]
    return {
        "name": name,
        "tags": tags,
        "alt": alt,
        "photo": "data:image/jpeg;base64," + base64.b64encode(tile.photo).decode(),
        "width": width,
        "height": height,
        "panels": [{"kind": k, "title": v} for k, v in panels.items() if v],
        "numbers": _numbers(row),
        "mask": listing.link("masks", tile.id, ".png"),
        "overlay": listing.link("overlays", tile.id, ".jpg"),
    }


def _numbers(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    parts = [] if row["iou"] is None else [f"IoU {percent(row['iou'])}"]
    if row["uncertainty"] is not None:
        parts.append(f"uncertainty {row['uncertainty']:.2f}")
    return ", ".join(parts)


def _data(summary, tiles, thresholds, rows) -> str:
    """What the script draws from, as JSON that may stand inside a <script>."""
    content = {
        "thresholds": [float(t) for t in thresholds],
        "labels": [threshold_text(t) for t in thresholds],
        "mean_iou": summary["curve"] and summary["curve"]["mean_iou"],
        "palette": class_colours(background=summary["background"]).tolist(),
        "classes": list(summary["classes"]),
        "background": summary["background"],
        "position": nearest(thresholds, summary["exported"]["threshold"]),
        "tiles": [
            {
                "width": tile.planes.shape[2],
                "height": tile.planes.shape[1],
                "has_truth": tile.has_truth,
                "packed": base64.b64encode(
                    zlib.compress(tile.planes.tobytes(), 9)
                ).decode(),
            }
            for tile in tiles
        ],
        "photos": listing.data(rows) if rows else None,
    }
    return as_script_data(content)
