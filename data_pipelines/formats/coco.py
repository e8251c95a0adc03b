"""COCO JSON: polygons, runs and boxes.

`coco_files` says which files these are. Regions lie in the order of the file, later
ones on top. Crowds are drawn as their class like all others, since tools mark plain
masks as crowds. Several polygons of an object are joined, as COCO joins them: a hole is
only what runs leave out.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines.formats import coco_files, coco_runs, parsing, raster
from ppcjax.data_pipelines.formats.base import (
    Annotations,
    Region,
    Scene,
    assemble,
)
from ppcjax.data_pipelines.formats.coco_files import Content
from ppcjax.data_pipelines.formats.names import MISSING, Names, need_photos
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.types import UserError

_NO_SPLIT = ("default", "annotations", "coco", "result", "labels", "export")


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The COCO files below a folder."""
    found, passed = coco_files.read_all(root)
    return _join(root, found, photos, passed) if found else None


def _order(key: Any) -> tuple:
    return (isinstance(key, str), key)


class _Joined(NamedTuple):
    """What several files say of the photos, filled file by file.

    scenes: by photo.
    raw: file and content of each of them, to tell where two files differ.
    splits: ids of each split.
    missing: what photos that are not there are called.
    foreign: what photos are called that were found by their file name alone.
    absent: files of whose photos none is there.
    """

    scenes: dict[str, Scene]
    raw: dict[str, tuple[Path, list]]
    splits: dict[str, list[str]]
    missing: list[str]
    foreign: list[str]
    absent: list[Path]


def _join(
    root: Path, found: list[Content], photos: Mapping[str, Path], passed: Counter
) -> Annotations:
    known, joined = Names.of(photos), _Joined({}, {}, {}, [], [], [])
    for content in found:
        _add(joined, content, root, known, _split(content.file, len(found)))
    need_photos(len(joined.scenes), joined.missing, str(found[0].file), root)
    passed[MISSING] += len(joined.missing)
    groups = coco_files.groups(found)
    for name in sorted(groups):
        passed[f"category {name!r} of COCO, a group that no object has"] += 1
    files = [content.file.relative_to(root).as_posix() for content in found]
    text = f"COCO {', '.join(files[:4])}{', ...' * (len(files) > 4)}"
    read = assemble(
        text,
        [name for name in _classes(found) if name not in groups],
        joined.scenes,
        photos,
        splits=joined.splits,
        passed=passed,
        warnings=_said(joined, found, text),
    )
    if len(found) > 1 or joined.splits:
        return read
    return read._replace(lone={_name(found[0].file): tuple(sorted(joined.scenes))})


def _add(
    joined: _Joined, content: Content, root: Path, known: Names, split: str
) -> None:
    """Adds a file; UserError where it contradicts itself or another one."""
    near = [content.file.parent.relative_to(root).as_posix()] + [split] * bool(split)
    places = [folder for folder in near if known.has_folder(folder)]
    if not places and not (split and known.folders):
        places = [""]
    here = 0
    for key, row in content.photos.items():
        name, where = row["file_name"], f"{content.file}: image {row['file_name']!r}"
        photo = known.find(name, where, near)
        if photo is None:
            photo = known.find_foreign(name, places)
            joined.foreign.extend([name] * (photo is not None))
        if photo is None:
            joined.missing.append(name)
            continue
        here += 1
        rows = content.objects.get(key, [])
        said = [[content.names[r["category_id"]], r] for r in rows]
        said = [[n, r.get("segmentation"), r.get("bbox")] for n, r in said]
        if joined.raw.get(photo, ("",))[0] == content.file:
            raise UserError(f"{where}: that photo is there twice")
        before, theirs = joined.raw.setdefault(photo, (content.file, said))
        if theirs != said:
            raise UserError(
                f"{where}: {before} says something else of that photo; remove one"
            )
        joined.scenes.setdefault(photo, _scene(where, row, rows, content.names))
        if split:
            joined.splits.setdefault(split, []).append(photo)
    if content.photos and not here:
        joined.absent.append(content.file)


def _said(joined: _Joined, found: list[Content], text: str) -> list[str]:
    """What was guessed."""
    said = []
    crowds = sum(
        row.get("iscrowd") in (1, True)
        for file in found
        for rows in file.objects.values()
        for row in rows
    )
    if crowds:
        said.append(f"{crowds} regions marked as crowds are drawn as their class")
    if joined.foreign:
        said.append(
            f"{text}: {len(joined.foreign)} photos are named with a path that is not "
            f"there, such as {joined.foreign[0]!r}, and found by their file name alone"
        )
    said += [f"{file}: none of its photos is there" for file in joined.absent]
    return said


def _classes(found: list[Content]) -> list[str]:
    """Names by category id, those of the first file first."""
    rows = [content.names for content in found]
    return list(
        dict.fromkeys(row[key] for row in rows for key in sorted(row, key=_order))
    )


def _name(file: Path) -> str:
    """What a file is named after, or the folder of Roboflow's files."""
    name = file.name.removesuffix(".json").removesuffix(".coco")
    if name == "_annotations":
        name = file.parent.name
    for prefix in ("instances_", "stuff_"):
        name = name.removeprefix(prefix)
    return name


def _split(file: Path, count: int) -> str:
    """The split that a file is named after; empty where its name says none."""
    name = _name(file)
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
