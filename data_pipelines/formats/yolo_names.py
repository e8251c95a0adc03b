"""Names and splits of a YOLO data set: data.yaml, or a list of names."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.data_pipelines.formats import parsing
from ppcjax.data_pipelines.formats.base import BACKGROUND_NAMES
from ppcjax.data_pipelines.formats.names import Names
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

_SPLITS = ("train", "val", "test")
_NAMES = re.compile(r"^[\"']?names[\"']? *:", re.MULTILINE)
_NULL = ("", "~", "null", "Null", "NULL")
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")


class Listing(NamedTuple):
    """Names of a data set.

    file: where they stand.
    names: by class id.
    is_yolo: whether the file is of YOLO alone.
    parts: value of train, val and test.
    base: folders that these may be relative to.
    warnings: what was guessed.
    """

    file: Path
    names: dict[int, str]
    is_yolo: bool = False
    parts: Mapping[str, Any] = {}
    base: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def splits(
        self, root: Path, photos: Mapping[str, Path]
    ) -> dict[str, tuple[str, ...]]:
        """Ids of each split that data.yaml names and that is there."""
        found = {}
        for name, value in self.parts.items():
            values = value if isinstance(value, list) else [value]
            ids = [key for v in values for key in self._listed(v, root, photos)]
            if ids:
                found[name] = tuple(sorted(set(ids)))
        # One folder under several names is no split.
        return found if len(set(found.values())) == len(found) else {}

    def _listed(self, value: Any, root: Path, photos: Mapping[str, Path]) -> list[str]:
        """The photos of a folder, or of a text of paths."""
        if not isinstance(value, str) or "\0" in value:
            return []
        plain = value.replace("\\", "/")
        while plain.startswith("../"):  # Roboflow's paths begin one folder too high
            plain = plain[3:]
        for base in self.base:
            for path in (base / value, base / plain):
                if path.is_dir():
                    below = path.resolve()
                    return [
                        key
                        for key, file in photos.items()
                        if file.resolve().is_relative_to(below)
                    ]
                if path.suffix == ".txt" and path.is_file():
                    known = Names.of(photos)
                    lines = read_text(path).splitlines()
                    found = [known.find(line.strip(), str(path)) for line in lines]
                    return [key for key in found if key is not None]
        return []


def find_yaml(root: Path) -> Listing | None:
    """The names of a YAML file in a folder; None where none has any."""
    found = []
    for file in sorted(root.glob("*.y*ml")):
        if file.suffix.lower() in (".yaml", ".yml") and file.is_file():
            text = read_text(file)
            if _NAMES.search(text):
                listing = _read_yaml(root, file, text)
                found += [listing] if listing is not None else []
    if len(found) > 1 and any(f.names != found[0].names for f in found):
        raise UserError(
            f"{found[0].file} and {found[1].file} name the classes differently; remove "
            "one"
        )
    return found[0] if found else None


def find_list(root: Path, folders: Sequence[Path]) -> Listing | None:
    """The names of a list beside the labels, above them or in the root.

    Args:
        root: folder of the data set.
        folders: those of its labels.
    """
    for folder in dict.fromkeys((*folders, *(f.parent for f in folders), root)):
        for name in _LISTS:
            if folder.is_relative_to(root) and (folder / name).is_file():
                return _read_list(folder / name, beside=folder in folders)
    return None


def _read_yaml(root: Path, file: Path, text: str) -> Listing | None:
    data = parsing.parse_yaml(text, file)
    if not isinstance(data, dict) or "names" not in data:
        return None
    if "kpt_shape" in data:
        raise UserError(f"{file}: is of key points (kpt_shape), not of outlines")
    rows = data["names"]
    if isinstance(rows, list):
        rows = dict(enumerate(rows))
    if not isinstance(rows, dict) or not rows:
        raise UserError(f"{file}: 'names' is neither a list nor a table of names")
    names = {}
    for key, name in rows.items():
        number = parsing.integer(key, f"{file}: names")
        if number in names:
            raise UserError(f"{file}: names has class id {number} twice")
        names[number] = parsing.label(name, f"{file}: names")
    _check_distinct(names, file)
    count = data.get("nc")
    if count and parsing.integer(count, f"{file}: nc") != len(names):
        raise UserError(f"{file}: nc is {count}, but there are {len(names)} names")
    data = {key: None if value in _NULL else value for key, value in data.items()}
    path = data.get("path")
    base = [Path(path).expanduser()] if isinstance(path, str) and path else []
    base = [file.parent / p for p in base if "\0" not in str(p)]
    parts = {n: data[n] for n in _SPLITS if data.get(n)}
    return Listing(file, names, bool(parts), parts, (*base, root))


def _read_list(file: Path, *, beside: bool) -> Listing:
    lines = [" ".join(line.split()) for line in read_text(file).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    names = {
        i: parsing.label(line, f"{file}: line {i + 1}") for i, line in enumerate(lines)
    }
    if not beside and lines and lines[0].casefold() in BACKGROUND_NAMES:
        raise UserError(
            f"{file}: begins with {lines[0]!r}, so class 0 of YOLO's texts may be that "
            "or the next name; write data.yaml with the names from class 0"
        )
    _check_distinct(names, file)
    said = f"class ids of YOLO are the lines of {file.name}, from 0"
    return Listing(file, names, warnings=(said,))


def _check_distinct(names: Mapping[int, str], file: Path) -> None:
    seen: dict[str, int] = {}
    for key, name in names.items():
        name = unicodedata.normalize("NFC", name)
        if name in seen:
            raise UserError(f"{file}: names {name!r} twice; give each class its own")
        seen[name] = key
