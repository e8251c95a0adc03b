"""VOC XML with names of one's own: the classes of the objects in each photo.

Boxes give tags; outlines are masks, which have a folder of their own.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ppcjax.data_pipelines.formats import parsing
from ppcjax.data_pipelines.formats.base import Annotations, Region, Scene, assemble
from ppcjax.data_pipelines.formats.names import MISSING, Names, clean, need_photos
from ppcjax.data_pipelines.regular import read_bytes
from ppcjax.types import UserError


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The VOC files below a folder."""
    known, scenes, missing, first = Names.of(photos), {}, [], None
    passed = Counter()
    for file in parsing.files_below(root, ".xml"):
        key = _by_name(root, file, known)
        if key is None and b"<annotation>" not in _bytes(file):
            continue
        content = parsing.load_xml(file)
        if content.tag != "annotation":
            continue
        first = first or file
        key = key or _by_content(root, file, content.findtext("filename"), known)
        if key is None:
            missing.append(file.name)
            continue
        if key in scenes:
            raise UserError(f"{file}: the photo {key!r} has two such files; remove one")
        regions = [
            Region((parsing.label(row.findtext("name"), f"{file}: an object"),), "box")
            for row in content.iterfind("object")
        ]
        scenes[key] = Scene(str(file), None, tuple(regions))
        passed["polygon in VOC XML"] += len(content.findall("object/polygon"))
    if first is None:
        return None
    need_photos(len(scenes), missing, str(first), root)
    passed[MISSING] += len(missing)
    named = {n for s in scenes.values() for r in s.regions for n in r.names}
    return assemble(
        f"VOC XML of {len(scenes)} photos, such as {first.name}",
        sorted(named),
        scenes,
        photos,
        passed=passed,
    )


def _bytes(file: Path) -> bytes:
    try:
        return read_bytes(file).replace(b"\0", b"")
    except OSError:
        return b""


def _near(root: Path, file: Path) -> list[str]:
    """The folder of a file, and what it is without a folder of annotations."""
    parts = file.parent.relative_to(root).parts
    rest = [p for p in parts if p.lower() not in ("annotations", "xml", "xmls")]
    return ["/".join(parts), "/".join(rest)]


def _by_name(root: Path, file: Path, known: Names) -> str | None:
    """The photo of the same name."""
    return known.find(clean(f"{file.stem}.jpg"), str(file), _near(root, file))


def _by_content(root: Path, file: Path, name, known: Names) -> str | None:
    return known.find(name.strip(), str(file), _near(root, file)) if name else None
