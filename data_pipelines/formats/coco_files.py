"""COCO's files: which they are, and what they hold, checked.

A file counts by its content: an object with `images`, `annotations` and `categories`.
One that by its name can be nothing else must hold these.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.data_pipelines.formats import parsing
from ppcjax.data_pipelines.formats.names import Unusable
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.data_pipelines.text import MOST_OF_ANNOTATIONS, read_text
from ppcjax.types import UserError

# Of the same photos, beside the outlines.
_OTHER_KINDS = ("captions", "image_info", "person_keypoints")
_PARTS = ("images", "categories", "annotations")


class Content(NamedTuple):
    """A file: names of its categories by id, and its photos."""

    file: Path
    names: Mapping[Any, str]
    above: Mapping[Any, str]  # supercategory of each
    photos: Mapping[Any, dict]  # by image id
    objects: Mapping[Any, list[dict]]


def read_all(root: Path) -> tuple[list[Content], Counter]:
    """The COCO files below a folder, and what was passed over.

    Raises:
        UserError: a file is damaged, or called as only COCO files are and is none.
        Unusable: none is there but one that lacks a part.
    """
    found, passed, partial_ones = [], Counter(), []
    for file in parsing.files_below(root, ".json"):
        text = read_text(file, MOST_OF_ANNOTATIONS) if _may_be(file) else ""
        if not _is_named_so(file) and not _looks_so(text):
            continue
        if file.name.startswith(_OTHER_KINDS):
            passed[f"{file.name}, which has no outlines of its own"] += 1
            continue
        data = parsing.parse_json(text, file)
        lacks = _lacks(data)
        if lacks and _is_named_so(file):
            raise UserError(
                f"{file}: is a COCO file by its name, but {lacks}; export it again, "
                "or remove it"
            )
        if lacks:
            partial_ones += [(file, lacks)] * _has_most(data)
        elif _is_panoptic(data):
            passed[f"{file.name}, a panoptic file"] += 1
        else:
            found.append(_content(file, data))
    panoptic = [name for name in passed if name.endswith("a panoptic file")]
    if panoptic and not found:
        raise UserError(
            f"{root}: {panoptic[0]} of COCO, is not read; convert it to outlines, or "
            "its PNG files to masks of class ids"
        )
    if partial_ones and not found:
        file, lacks = partial_ones[0]
        raise Unusable(
            f"{file}: is like a COCO file, but {lacks}; export it again, or remove it"
        )
    passed.update(f"{file.name}, which {lacks}" for file, lacks in partial_ones)
    return found, passed


def _may_be(file: Path) -> bool:
    """Whether a file of that size and name is opened at all."""
    return file.is_file() and file.stat().st_size > 2


def _is_named_so(file: Path) -> bool:
    """Whether tools call no other file so, but for results of detectors."""
    name = file.name.lower()
    if "result" in name:
        return False
    return name.startswith(("instances_", "stuff_")) or name.endswith(".coco.json")


def _looks_so(text: str) -> bool:
    named = [part for part in _PARTS if f'"{part}"' in text]
    return text.lstrip().startswith("{") and ("images" in named or len(named) > 1)


def _lacks(data: Any) -> str:
    """What a file needs to be COCO; "" where nothing is missing."""
    if not isinstance(data, dict):
        return f"it holds no object of {', '.join(_PARTS)}"
    missing = [part for part in _PARTS if data.get(part) is None]
    return f"lacks {', '.join(missing)}" if missing else ""


def _has_most(data: Any) -> bool:
    """Whether an object is COCO but for one part; captions need no categories."""
    if not isinstance(data, dict):
        return False
    parts = [data[part] for part in _PARTS if isinstance(data.get(part), list)]
    if len(parts) != 2:
        return False
    return not any("caption" in row for row in parts[-1][:1] if isinstance(row, dict))


def _is_panoptic(data: dict) -> bool:
    first = (data["annotations"] or [None])[0] if _listed(data) else None
    return isinstance(first, dict) and "segments_info" in first


def _listed(data: dict) -> bool:
    return isinstance(data["annotations"], list)


def _key(value: Any, where: str) -> Any:
    """An id: a whole number, or a text."""
    return value if isinstance(value, str) else parsing.integer(value, where)


def _content(file: Path, data: dict) -> Content:
    names, above = {}, {}
    for place, row in enumerate(entry(data, "categories", list, str(file))):
        where = f"{file}: category {place}"
        name = parsing.label(entry(row, "name", object, where), where)
        key = _key(row.get("id"), where)
        if key in names and names[key] != name:
            raise UserError(f"{where}: id {key} is that of {names[key]!r}, too")
        top = row.get("supercategory") or ""
        names[key], above[key] = name, top if isinstance(top, str) else "?"
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
    return Content(file, names, above, listed, objects)


def groups(found: Sequence[Content]) -> set[str]:
    """Names of categories that only group others, and that no object has.

    Roboflow writes one as its first: others name it as what stands above them, or it
    has id 0 and "none" above it.
    """
    every = {name for content in found for name in content.names.values()}
    names = set(every)
    for content in found:
        others = set(content.above.values())
        for key, name in content.names.items():
            top = content.above[key] in ("", "none")
            first = key == 0 and content.above[key] == "none"
            roboflow = content.file.name.endswith(".coco.json") or len(others) > 1
            if not top or not (name in others or (first and roboflow)):
                names.discard(name)
        for rows in content.objects.values():
            names -= {content.names[row["category_id"]] for row in rows}
    return names if names < every else set()
