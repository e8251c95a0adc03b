"""labelme: a JSON file beside each photo, drawn as labelme itself draws.

That is with Pillow, the border included. Shapes lie in the order of the file, later
ones on top. Points and lines, which have no area, are passed over.
"""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.data_pipelines.formats import parsing, raster
from ppcjax.data_pipelines.formats.base import (
    Annotations,
    Painter,
    Region,
    Scene,
    assemble,
)
from ppcjax.data_pipelines.formats.names import MISSING, Names, clean, need_photos
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.data_pipelines.images import DAMAGE
from ppcjax.data_pipelines.pictures import picture
from ppcjax.data_pipelines.text import MOST_OF_ANNOTATIONS, read_text
from ppcjax.types import UserError

_LINES = ("point", "points", "line", "linestrip", "line_strip", "ai_points")
# The fewest and the most points; some tools write all corners of a rectangle.
_CORNERS = {
    "polygon": (3, 2**31),
    "rectangle": (2, 4),
    "circle": (2, 2),
    "oriented_rectangle": (4, 4),
}


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The labelme files below a folder."""
    known, scenes, missing = Names.of(photos), {}, []
    passed, lists = Counter(), []
    first = None
    for file in parsing.files_below(root, ".json"):
        text = read_text(file, MOST_OF_ANNOTATIONS)
        if '"shapes"' not in text or not text.lstrip().startswith("{"):
            continue
        data = parsing.parse_json(text, file)
        if not isinstance(data, dict) or not {"shapes", "imagePath"} & set(data):
            continue
        first = first or file
        key = _photo(root, file, data, known)
        if key is None:
            missing.append(file.name)
            continue
        if key in scenes:
            raise UserError(f"{file}: the photo {key!r} has two such files; remove one")
        scenes[key] = _scene(file, data, passed)
        lists += [n for n in (file.parent / "labels.txt",) if n not in lists]
    if first is None:
        return None
    need_photos(len(scenes), missing, str(first), root)
    passed[MISSING] += len(missing)
    named = {n for s in scenes.values() for r in s.regions for n in r.names}
    listed = [n for n in _listed(root, lists) if n in named]
    return assemble(
        f"labelme JSON of {len(scenes)} photos, such as {first.name}",
        [*listed, *sorted(named - set(listed))],
        scenes,
        photos,
        fill_boxes=True,
        passed=passed,
    )


def _listed(root: Path, lists: list[Path]) -> list[str]:
    """Names of labels.txt, in order."""
    file = next((f for f in (root / "labels.txt", *lists) if f.is_file()), None)
    lines = read_text(file).splitlines() if file else []
    return [" ".join(line.split()) for line in lines if line.strip()]


def _photo(root: Path, file: Path, data: dict, known: Names) -> str | None:
    """The photo of a file: of the same name beside it, else the one that it names."""
    below = file.parent.relative_to(root)
    stem = clean((below / file.stem).as_posix())
    if stem in known.ids:
        return stem
    path = entry(data, "imagePath", str, str(file), "")
    name = clean(path).rpartition("/")[2]
    for candidate in (stem, clean(f"{below.as_posix()}/{path}"), file.stem, name):
        key = (
            known.find(candidate, str(file), [below.as_posix()]) if candidate else None
        )
        if key is not None:
            return key
    return None


def _scene(file: Path, data: dict, passed: Counter) -> Scene:
    where = str(file)
    size = parsing.size_of(data, "imageHeight", "imageWidth", where)
    regions = []
    for place, shape in enumerate(entry(data, "shapes", list, where)):
        here = f"{where}: shape {place}"
        name = parsing.label(entry(shape, "label", object, here), here)
        kind = entry(shape, "shape_type", str, here, "polygon")
        if kind in _LINES:
            passed[f"{kind} of labelme, which has no area"] += 1
            continue
        corners = parsing.points(entry(shape, "points", list, here), here)
        if kind == "mask":
            painter = _mask(shape, corners, here)
        elif kind not in _CORNERS:
            raise UserError(f"{here}: shape_type {kind[:20]!r} is not known")
        elif not _CORNERS[kind][0] <= len(corners) <= _CORNERS[kind][1]:
            raise UserError(f"{here}: a {kind} of {len(corners)} points")
        else:
            painter = partial(_paint, kind, corners, here)
        boxed = kind == "rectangle"
        regions.append(Region((name,), "box" if boxed else "outline", painter))
    return Scene(where, size, tuple(regions))


def _paint(kind: str, corners, where: str, mask: np.ndarray, value: int) -> None:
    raster.check_reach(corners, mask.shape, where)
    if kind == "circle":
        (x, y), rim = corners.tolist()
        radius = math.dist((x, y), rim)
        name, points = "ellipse", [x - radius, y - radius, x + radius, y + radius]
    elif kind == "rectangle":
        name = kind
        points = [*corners.min(0).tolist(), *corners.max(0).tolist()]
    else:
        name, points = "polygon", [tuple(pair) for pair in corners.tolist()]
    mask[raster.drawn(mask.shape, name, points)] = value


def _mask(shape: dict, corners: np.ndarray, where: str) -> Painter:
    """A mask: a PNG in base 64 whose corners are the first and the last pixel."""
    text = entry(shape, "mask", str, where)
    if len(corners) != 2 or (corners < 0).any():
        raise UserError(f"{where}: a mask needs its first and its last pixel")
    return partial(_paint_mask, text, corners, where)


def _paint_mask(text: str, corners, where: str, mask: np.ndarray, value: int) -> None:
    inside = _decoded(text, where)
    (x0, y0), (x1, y1) = corners.astype(np.int64)
    part = mask[y0 : y1 + 1, x0 : x1 + 1]
    if part.shape != inside.shape:
        raise UserError(
            f"{where}: its mask is {inside.shape[1]}x{inside.shape[0]} pixels, but its "
            f"place in the photo {part.shape[1]}x{part.shape[0]}"
        )
    part[inside] = value


def _decoded(text: Any, where: str) -> np.ndarray:
    try:
        data = base64.b64decode(re.sub(r"\s", "", text), validate=True)
        with picture(data, ("PNG",)) as image:
            return np.asarray(image.convert("L")) > 0
    except (*DAMAGE, binascii.Error) as error:
        raise UserError(f"{where}: its mask is no PNG in base 64") from error
