"""CVAT for images 1.1: polygons, boxes, ellipses and masks of annotations.xml.

Regions lie by their z_order, then in the order of the file. Boxes beside outlines are
filled, as they are in CVAT's own masks. Its "Segmentation mask 1.1" is no XML: a folder
of coloured masks with labelmap.txt, in and out.
"""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.formats import parsing, raster
from ppcjax.data_pipelines.formats.base import (
    Annotations,
    Painter,
    Region,
    Scene,
    assemble,
)
from ppcjax.data_pipelines.formats.names import MISSING, Names, need_photos
from ppcjax.data_pipelines.regular import read_start
from ppcjax.types import UserError


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The CVAT files below a folder."""
    found = []
    for file in parsing.files_below(root, ".xml"):
        if b"<annotations" not in _head(file):
            continue
        content = parsing.load_xml(file)
        if content.tag == "annotations":
            found.append((file, content))
    if not found:
        return None
    known, scenes, missing = Names.of(photos), {}, []
    passed, classes, splits = Counter(), [], {}
    for file, content in found:
        if content.find("track") is not None:
            raise UserError(
                f"{file}: is of a video (tracks); export it from CVAT as 'CVAT for "
                "images 1.1'"
            )
        labels = _labels(file, content)
        classes += labels
        for image in content.iterfind("image"):
            name = image.get("name") or ""
            where = f"{file}: image {name!r}"
            near = [str(file.parent.relative_to(root)), image.get("subset") or "."]
            key = known.find(name, where, near)
            if key is None:
                missing.append(name)
                continue
            if key in scenes:
                raise UserError(f"{where}: that photo is there twice; remove one")
            scenes[key] = _scene(where, image, labels, passed)
            if image.get("subset"):
                splits.setdefault(image.get("subset"), []).append(key)
    need_photos(len(scenes), missing, str(found[0][0]), root)
    passed[MISSING] += len(missing)
    named = {n for s in scenes.values() for r in s.regions for n in r.names}
    return assemble(
        f"CVAT {', '.join(file.name for file, _ in found[:4])}",
        [*classes, *sorted(named - set(classes))],
        scenes,
        photos,
        fill_boxes=True,
        splits=splits,
        passed=passed,
    )


def _head(file: Path) -> bytes:
    try:
        # UTF-16 has a zero beside each letter.
        return read_start(file, 4000).replace(b"\0", b"")
    except OSError:
        return b""


def _labels(file: Path, content: ElementTree.Element) -> list[str]:
    """Names of the task's labels; those of the parts of a skeleton are left out."""
    return [
        parsing.label(row.findtext("name"), f"{file}: a label")
        for labels in content.iterfind("meta//labels")
        for row in labels.iterfind("label")
        if row.find("parent") is None
    ]


def _scene(
    where: str, image: ElementTree.Element, labels: list[str], passed: Counter
) -> Scene:
    regions = []
    for place, shape in enumerate(image):
        name = parsing.label(shape.get("label"), f"{where}, {shape.tag} {place}")
        here = f"{where}, {shape.tag} {name!r}"
        if labels and name not in labels:
            raise UserError(f"{here}: is no label of that file")
        if shape.tag == "tag":
            regions.append((0, Region((name,), "tag")))
        elif shape.tag in _PAINTERS:
            height = parsing.integer(shape.get("z_order") or 0, here)
            kind = "box" if shape.tag == "box" else "outline"
            painter = _PAINTERS[shape.tag](shape, here)
            regions.append((height, Region((name,), kind, painter)))
        else:
            passed[f"{shape.tag} of CVAT, which has no area"] += 1
    regions.sort(key=lambda pair: pair[0])
    size = parsing.size_of(image.attrib, "height", "width", where)
    return Scene(where, size, tuple(region for _, region in regions))


def _polygon(shape: ElementTree.Element, where: str) -> Painter:
    pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
    corners = parsing.points(pairs, where)
    if len(corners) < 3:
        raise UserError(f"{where}: has fewer than three corners")
    return partial(_paint_polygon, corners, where)


def _paint_polygon(corners, where: str, mask: np.ndarray, value: int) -> None:
    raster.fill_polygon(mask, corners, value, where)


def _values(shape: ElementTree.Element, names: str, where: str) -> list[float]:
    return [parsing.number(shape.get(name), where) for name in names.split()]


def _box(shape: ElementTree.Element, where: str) -> Painter:
    x0, y0, x1, y1 = _values(shape, "xtl ytl xbr ybr", where)
    turn = parsing.number(shape.get("rotation") or 0, where)
    corners = raster.box_corners(x0, y0, x1 - x0, y1 - y0, turn)
    return partial(_paint_polygon, corners, where)


def _ellipse(shape: ElementTree.Element, where: str) -> Painter:
    x, y, rx, ry = _values(shape, "cx cy rx ry", where)
    turn = parsing.number(shape.get("rotation") or 0, where)

    def paint(mask, value):
        raster.fill_ellipse(mask, (x, y), (rx, ry), turn, value, where)

    return paint


def _mask(shape: ElementTree.Element, where: str) -> Painter:
    sides = _values(shape, "left top width height", where)
    x, y, width, height = (parsing.integer(v, where) for v in sides)
    counts = [parsing.integer(n, where) for n in (shape.get("rle") or "").split(",")]
    if min(x, y) < 0 or min(width, height) < 1:
        raise UserError(f"{where}: lies outside of its photo")
    return partial(_paint_mask, counts, (x, y, width, height), where)


def _paint_mask(counts, place, where: str, mask: np.ndarray, value: int) -> None:
    """Runs along the rows of a part of the photo, outside first."""
    x, y, width, height = place
    part = mask[y : y + height, x : x + width]
    if part.shape != (height, width):
        raise UserError(f"{where}: lies outside of its photo")
    # The last run may be left out where it is outside.
    counts = [*counts, part.size - sum(counts)]
    if len(counts) % 2 == 0 and counts[-1]:
        raise UserError(f"{where}: its runs do not cover its {width}x{height} pixels")
    raster.fill_runs(part.T, counts, value, where)


_PAINTERS = {"polygon": _polygon, "box": _box, "ellipse": _ellipse, "mask": _mask}
