"""All photos of a report: areas of their classes, and a list by pages, with links."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from ppcjax.evaluate.masks.page import class_chips
from ppcjax.report.html import render
from ppcjax.report.text import percent

# So many photos a page can list: about 1 MB. 24 fill rows of 2, 3, 4 and 6.
LISTED, PER_PAGE = 10_000, 24

_ORDERS = {
    "uncertainty": "most uncertain first",
    "iou": "lowest IoU first",
    "name": "name",
}


def link(kind: str, name: str, suffix: str) -> str:
    """The address of a photo's file below the folder of the report.

    Names come from file systems: what is no UTF-8 there is quoted as the bytes it is.
    """
    return quote(f"{kind}/{name}{suffix}", errors="surrogateescape")


def shown(name: str) -> str:
    """The name of a photo as text that can be written."""
    return name.encode(errors="replace").decode()


def areas(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """How much of all photos the masks of each class cover."""
    if not rows:
        return ""
    pixels, photos = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for row in rows:
        for c, count in row["areas"].items():
            pixels[int(c)] += count
            photos[int(c)] += 1
    chips, whole = class_chips(summary), max(int(pixels.sum()), 1)
    found = [
        {
            "chip": chips[c],
            "name": name,
            "photos": f"{photos[c]:,}",
            "share": pixels[c] / whole,
            "text": _percent(pixels[c] / whole),
        }
        for c, name in enumerate(summary["classes"])
        if photos[c]
    ]
    missing = [n for c, n in enumerate(summary["classes"]) if not photos[c]]
    return render(
        "masks/areas.html",
        photos=_of(len(rows), summary["images"]),
        rows=found,
        missing=", ".join(missing),
    )


def _percent(share: float) -> str:
    return percent(share) if share >= 5e-4 else "< 0.1 %"


def photos(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The list of photos, which the script of the page fills."""
    if not rows:
        return ""
    notes = [
        f"{_of(len(rows), summary['images']).capitalize()}, {PER_PAGE} a page; a name "
        "leads to the mask, a click shows the overlay large."
    ]
    if len(rows) > LISTED:
        notes[0] = (
            f"The {LISTED:,} most uncertain of {len(rows):,} photos, {PER_PAGE} a "
            "page; masks/ and overlays/ beside this page hold those of the others."
        )
    orders = {k: v for k, v in _ORDERS.items() if k == "name" or _known(rows, k)}
    if "uncertainty" in orders:
        notes.append("Uncertainty: 0 where a mask is certain, 1 where undecided.")
    if "iou" in orders:
        notes.append(
            "The IoU of a photo is the mean over the classes that it shows or seems to "
            "show; their mean is not the mean IoU above."
        )
    there = {int(c) for row in rows for c in row["areas"]}
    classes = [(c, name) for c, name in enumerate(summary["classes"]) if c in there]
    return render(
        "masks/photos.html",
        note=" ".join(notes),
        orders=list(orders.items()),
        classes=classes,
    )


def _known(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(row[key] is not None for row in rows)


def _of(count: int, images: int) -> str:
    return f"all {images:,} photos" if count == images else f"{count:,} photos"


def data(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the script lists, as JSON types: columns of the most uncertain photos.

    Args:
        rows: what is told of all photos, see `ppcjax.evaluate.masks.rows.row`.

    Returns:
        "per_page", and columns in the order of `rows`: "name"; "uncertainty"; "iou";
        "areas", (class id, share) of each class in 1/1000 of the photo; "path", the
        part of an address that the name makes, None where it is the name itself.
    """
    kept = range(len(rows))
    if len(rows) > LISTED:
        unsure = [-1.0 if r["uncertainty"] is None else r["uncertainty"] for r in rows]
        kept = sorted(np.argsort(-np.asarray(unsure), kind="stable")[:LISTED].tolist())
    listed = [rows[index] for index in kept]
    return {
        "per_page": PER_PAGE,
        "name": [shown(row["id"]) for row in listed],
        "path": [_path(row["id"]) for row in listed],
        "uncertainty": [row["uncertainty"] for row in listed],
        "iou": [row["iou"] for row in listed],
        "areas": [_shares(row) for row in listed],
    }


def _path(name: str) -> str | None:
    quoted = link("", name, "")[1:]
    return None if quoted == name else quoted


def _shares(row: Mapping[str, Any]) -> list[list[int]]:
    whole = row["size"][0] * row["size"][1]
    found = [[int(c), round(1000 * n / whole)] for c, n in row["areas"].items()]
    return sorted(found, key=lambda pair: -pair[1])
