"""Results of Label Studio as regions of a photo."""

from collections import Counter
from functools import partial
from typing import Any

import numpy as np

from ppcjax.data_pipelines.formats import parsing, raster, studio_runs
from ppcjax.data_pipelines.formats.base import Painter, Region
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.types import UserError

_TAGS = ("choices", "taxonomy")
# Kind of result, also of those whose labels are a result of their own -> shape.
_SHAPES = {
    "polygonlabels": "polygon",
    "polygon": "polygon",
    "brushlabels": "brush",
    "brush": "brush",
    "rectanglelabels": "box",
    "rectangle": "box",
    "ellipselabels": "ellipse",
    "ellipse": "ellipse",
}


def regions_of(
    results: list, where: str, passed: Counter
) -> tuple[tuple[int, int] | None, tuple[Region, ...]]:
    """Size of the photo where it is stated, and regions in order.

    Args:
        results: rows of one annotation.
        where: file and task, for errors.
        passed: counts what has no area, changed.
    """
    sizes, regions = set(), []
    for place, row in enumerate(_merged(results, where)):
        here = f"{where}, result {place}"
        kind = entry(row, "type", str, here, "")
        value = entry(row, "value", dict, here, {})
        if kind in _TAGS:
            regions += _tags(value, kind, here)
            continue
        shape = _SHAPES.get(kind)
        if shape is None:
            passed[f"{kind[:30] or 'other'} of Label Studio, which has no area"] += 1
            continue
        if parsing.number(row.get("image_rotation") or 0, here):
            raise UserError(
                f"{here}: was drawn on a photo turned in Label Studio; turn the photo "
                "itself"
            )
        size = parsing.size_of(row, "original_height", "original_width", here)
        sizes |= {size} - {None}
        names = _names(value, here)
        if not names:
            passed["regions of Label Studio without a label"] += 1
            continue
        painter = _PAINTERS[shape](value, here)
        regions.append(Region(names, "box" if shape == "box" else "outline", painter))
    if len(sizes) > 1:
        raise UserError(f"{where}: its results are of photos of several sizes")
    return next(iter(sizes), None), tuple(regions)


def _merged(results: list, where: str) -> list[dict]:
    """Results, those of one region as one: its shape and its labels may be apart."""
    rows: dict[Any, dict] = {}
    for place, row in enumerate(results):
        if not isinstance(row, dict):
            raise UserError(f"{where}: result {place} is no object of names and values")
        key = row.get("id") if isinstance(row.get("id"), str) else place
        value = entry(row, "value", dict, f"{where}, result {place}", {})
        if key not in rows:
            rows[key] = {**row, "value": value}
            continue
        kinds = [rows[key].get("type"), row.get("type")]
        shaped = [k for k in kinds if isinstance(k, str) and k in _SHAPES]
        rows[key]["value"] = rows[key]["value"] | value
        rows[key]["type"] = (shaped or kinds)[-1 if shaped else 0]
    return list(rows.values())


def _names(value: dict, where: str) -> tuple[str, ...]:
    found = []
    for name in sorted(value):
        if name.endswith("labels") and isinstance(value[name], list):
            found += [parsing.label(v, where) for v in value[name]]
    return tuple(dict.fromkeys(found))


def _tags(value: dict, kind: str, where: str) -> list[Region]:
    """Tags of choices; of a taxonomy the names of its leaves."""
    rows = entry(value, kind, list, where, [])
    if kind == "taxonomy":
        rows = [row[-1] if isinstance(row, list) and row else row for row in rows]
    return [Region((parsing.label(row, where),), "tag") for row in rows]


def _share(value: dict, names: str, where: str) -> np.ndarray:
    return np.array([parsing.number(value.get(n), where) for n in names.split()]) / 100


def _sides(mask: np.ndarray) -> np.ndarray:
    return np.array(mask.shape[::-1], np.float64)


def _polygon(value: dict, where: str) -> Painter:
    corners = parsing.points(entry(value, "points", list, where), where)
    if len(corners) < 3:
        raise UserError(f"{where}: a polygon has fewer than three corners")

    def paint(mask, wanted):
        pixels = raster.from_shares(corners / 100, _sides(mask))
        raster.fill_polygon(mask, pixels, wanted, where)

    return paint


def _box(value: dict, where: str) -> Painter:
    place = _share(value, "x y width height", where)
    turn = parsing.number(value.get("rotation") or 0, where)

    def paint(mask, wanted):
        x, y, width, height = place * np.tile(_sides(mask), 2)
        corners = raster.box_corners(x, y, width, height, turn, about=(x, y))
        raster.fill_polygon(mask, corners, wanted, where)

    return paint


def _ellipse(value: dict, where: str) -> Painter:
    place = _share(value, "x y radiusX radiusY", where)
    turn = parsing.number(value.get("rotation") or 0, where)

    def paint(mask, wanted):
        x, y, across, down = place * np.tile(_sides(mask), 2)
        raster.fill_ellipse(mask, (x, y), (across, down), turn, wanted, where)

    return paint


def _brush(value: dict, where: str) -> Painter:
    if value.get("format", "rle") != "rle":
        raise UserError(f"{where}: a brush in another form than 'rle'")
    packed = entry(value, "rle", list, where)
    return partial(_paint_brush, packed, where)


def _paint_brush(packed: list, where: str, mask: np.ndarray, wanted: int) -> None:
    values = studio_runs.decode(packed, 4 * mask.size, where)
    # Of red, green, blue and opacity the last says where the brush was.
    mask[values.reshape(*mask.shape, 4)[..., 3] > 0] = wanted


_PAINTERS = {"polygon": _polygon, "box": _box, "ellipse": _ellipse, "brush": _brush}
