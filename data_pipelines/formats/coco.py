"""COCO JSON: polygons, runs and boxes.

A file counts by its content: an object with `images`, `annotations` and `categories`.
Regions lie in the order of the file, later ones on top. Crowds are drawn as their class
like all others, since tools mark plain masks as crowds. Several polygons of an object
are joined, as COCO joins them: a hole is only what runs leave out.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines.formats import coco_runs, parsing, raster
from ppcjax.data_pipelines.formats.base import (
    Annotations,
    Region,
    Scene,
    assemble,
)
from ppcjax.data_pipelines.formats.names import MISSING, Names, need_photos
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

# Of the same photos, beside the outlines.
_OTHER_KINDS = ("captions", "image_info", "person_keypoints")
_NO_SPLIT = ("default", "annotations", "coco", "result", "labels", "export")


class _Content(NamedTuple):
    """A file: names of its categories by id, and its photos."""

    file: Path
    names: Mapping[Any, str]
    photos: Mapping[Any, dict]  # by image id
    objects: Mapping[Any, list[dict]]


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The COCO files below a folder."""
    found, passed = [], Counter()
    for file in parsing.files_below(root, ".json"):
        text = read_text(file) if _may_be(file) else ""
        if not text.lstrip().startswith("{") or '"images"' not in text:
            continue
        if file.name.startswith(_OTHER_KINDS):
            passed[f"{file.name}, which has no outlines of its own"] += 1
            continue
        data = parsing.parse_json(text, file)
        if not isinstance(data, dict) or "annotations" not in data:
            continue
        if _is_panoptic(data):
            passed[f"{file.name}, a panoptic file"] += 1
        elif "categories" in data:
            found.append(_content(file, data))
    panoptic = [name for name in passed if name.endswith("a panoptic file")]
    if panoptic and not found:
        raise UserError(
            f"{root}: {panoptic[0]} of COCO, is not read; convert it to outlines, or "
            "its PNG files to masks of class ids"
        )
    return _join(root, found, photos, passed) if found else None


def _may_be(file: Path) -> bool:
    """Whether a file of that size and name is opened at all."""
    return file.is_file() and file.stat().st_size > 2


def _is_panoptic(data: dict) -> bool:
    first = (data["annotations"] or [None])[0] if _listed(data) else None
    return isinstance(first, dict) and "segments_info" in first


def _listed(data: dict) -> bool:
    return isinstance(data["annotations"], list)


def _key(value: Any, where: str) -> Any:
    """An id: a whole number, or a text."""
    return value if isinstance(value, str) else parsing.integer(value, where)


def _content(file: Path, data: dict) -> _Content:
    names, above = {}, {}
    for place, row in enumerate(entry(data, "categories", list, str(file))):
        where = f"{file}: category {place}"
        name = parsing.label(entry(row, "name", object, where), where)
        key = _key(row.get("id"), where)
        if key in names and names[key] != name:
            raise UserError(f"{where}: id {key} is that of {names[key]!r}, too")
        names[key], above[key] = name, row.get("supercategory")
    listed = {}
    for place, row in enumerate(entry(data, "images", list, str(file))):
        where = f"{file}: image {place}"
        entry(row, "file_name", str, where)
        key = _key(row.get("id"), where)
        if key in listed:
            raise UserError(f"{where}: id {key} is there twice")
        listed[key] = row
    objects: dict[Any, list[dict]] = {}
    for place, row in enumerate(entry(data, "annotations", list, str(file))):
        where = f"{file}: annotation {place}"
        if not isinstance(row, dict):
            raise UserError(f"{where}: is not an object of names and values")
        image, category = (_key(row.get(n), where) for n in ("image_id", "category_id"))
        if image not in listed:
            raise UserError(f"{where}: image_id {image} is no image of that file")
        if category not in names:
            raise UserError(f"{where}: category_id {category} is no category there")
        objects.setdefault(image, []).append(row)
    used = {row["category_id"] for rows in objects.values() for row in rows}
    # Roboflow's first category is a group of the others.
    groups = {key for key in names if names[key] in above.values() and key not in used}
    groups = {key for key in groups if above[key] in (None, "", "none")}
    return _Content(
        file, {k: n for k, n in names.items() if k not in groups}, listed, objects
    )


def _order(key: Any) -> tuple:
    return (isinstance(key, str), key)


def _join(
    root: Path, found: list[_Content], photos: Mapping[str, Path], passed: Counter
) -> Annotations:
    known = Names.of(photos)
    scenes: dict[str, Scene] = {}
    raw: dict[str, tuple[Path, list]] = {}
    splits: dict[str, list[str]] = {}
    missing, crowds = [], 0
    for content in found:
        split = _split(content.file, len(found))
        near = [
            str(content.file.parent.relative_to(root)),
            *([split] if split else []),
        ]
        for key, row in content.photos.items():
            where = f"{content.file}: image {row['file_name']!r}"
            photo = known.find(row["file_name"], where, near)
            if photo is None:
                missing.append(row["file_name"])
                continue
            rows = content.objects.get(key, [])
            said = [[content.names[r["category_id"]], r] for r in rows]
            said = [[n, r.get("segmentation"), r.get("bbox")] for n, r in said]
            if raw.get(photo, ("",))[0] == content.file:
                raise UserError(f"{where}: that photo is there twice")
            before, theirs = raw.setdefault(photo, (content.file, said))
            if theirs != said:
                raise UserError(
                    f"{where}: {before} says something else of that photo; remove one"
                )
            if photo not in scenes:
                crowds += sum(row.get("iscrowd") in (1, True) for row in rows)
                scenes[photo] = _scene(where, row, rows, content.names)
            if split:
                splits.setdefault(split, []).append(photo)
    files = ", ".join(content.file.name for content in found[:4])
    need_photos(len(scenes), missing, str(found[0].file), root)
    passed[MISSING] += len(missing)
    said = [f"{crowds} regions marked as crowds are drawn as their class"] * bool(
        crowds
    )
    return assemble(
        f"COCO {files}",
        _classes(found),
        scenes,
        photos,
        splits=splits,
        passed=passed,
        warnings=said if crowds else (),
    )


def _classes(found: list[_Content]) -> list[str]:
    """Names by category id, those of the first file first."""
    rows = [content.names for content in found]
    return list(
        dict.fromkeys(row[key] for row in rows for key in sorted(row, key=_order))
    )


def _split(file: Path, count: int) -> str:
    """The split that a file is named after; empty where its name says none."""
    name = file.name.removesuffix(".json").removesuffix(".coco")
    if name in ("_annotations", "annotations"):  # Roboflow: SPLIT/_annotations...
        name = file.parent.name if name[0] == "_" else name
    for prefix in ("instances_", "stuff_"):
        name = name.removeprefix(prefix)
    plain = name.lower()
    starts = plain.startswith(("train", "val", "test", "dev"))
    if plain in _NO_SPLIT or (count == 1 and not starts):
        return ""
    return name


def _scene(where: str, image: dict, rows: list[dict], names: Mapping) -> Scene:
    size = parsing.size_of(image, "height", "width", where)
    regions = tuple(_region(where, row, names[row["category_id"]]) for row in rows)
    return Scene(where, size, regions)


def _region(where: str, row: dict, name: str) -> Region:
    where = f"{where}, annotation {str(row.get('id'))[:20]}"
    outline = row.get("segmentation")
    if isinstance(outline, dict) or (isinstance(outline, list) and outline):
        return Region((name,), "outline", partial(_paint, outline, where))
    if outline not in (None, [], ""):
        raise UserError(f"{where}: 'segmentation' is neither polygons nor runs")
    box = row.get("bbox")
    if box is None or box == []:
        return Region((name,), "tag")
    return Region((name,), "box", partial(_paint_box, box, where))


def _paint_box(box: Any, where: str, mask: np.ndarray, value: int) -> None:
    if not isinstance(box, list) or len(box) != 4:
        raise UserError(f"{where}: 'bbox' is not x, y, width, height")
    x, y, width, height = (parsing.number(v, where) for v in box)
    raster.fill_polygon(mask, raster.box_corners(x, y, width, height), value, where)


def _paint(outline: Any, where: str, mask: np.ndarray, value: int) -> None:
    if isinstance(outline, dict):
        _paint_runs(outline, where, mask, value)
        return
    if not isinstance(outline[0], list):  # one polygon without a list around it
        outline = [outline]
    for part in outline:
        corners = parsing.points(part, where)
        if len(corners) < 3:
            raise UserError(f"{where}: a polygon has fewer than three corners")
        raster.fill_polygon(mask, corners, value, where)


def _paint_runs(outline: dict, where: str, mask: np.ndarray, value: int) -> None:
    size = entry(outline, "size", list, where)
    if [parsing.integer(v, where) for v in size] != list(mask.shape):
        raise UserError(
            f"{where}: its runs are of {size} rows and columns, but its photo has "
            f"{list(mask.shape)}; export it again"
        )
    counts = outline.get("counts")
    if isinstance(counts, str):
        counts = coco_runs.decode(counts, where)
    elif isinstance(counts, list):
        counts = [parsing.integer(v, where) for v in counts]
    else:
        raise UserError(f"{where}: 'counts' of its runs is missing")
    raster.fill_runs(mask, counts, value, where)
