"""Photographs without a data set around them, to predict."""

import functools
import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import headers, images
from ppcjax.data_pipelines.sources import files, layouts, stems
from ppcjax.data_pipelines.sources.base import Reading, Record, Source
from ppcjax.data_pipelines.sources.folder import folder
from ppcjax.types import UserError

# What results of this program are known by: the note of a folder that is being
# written, or what is beside them in the end.
EXPORT_NOTE = "finished.jsonl"
_EXPORT_FILES = {"classes.txt", "metrics.json", "provenance.json"}


class _Found(NamedTuple):
    """What a path or a pattern names.

    root: folder that ids are relative to.
    paths: photos that can be read, relative to it.
    passed: what was passed over and why -> how many.
    """

    root: Path
    paths: list[Path]
    passed: Counter


def photos(
    patterns: str | Sequence[str], classes: tuple[str, ...], *, labels: bool = True
) -> Source:
    """Photographs to predict: a folder, one file, a pattern such as "a/*.jpg", or many.

    What is there under exactly that name is meant, whatever letters it has; only what
    is not there is a pattern. A folder that holds tags.csv is read as source folder
    reads it; no other photo has tags or a mask. Masks that lie among the photos of a
    folder are passed over, and so are the results of this program.

    Ids are relative to the folder that is given; of several places, to the folder that
    holds all photos. Photos that differ only by suffix keep it in their ids.

    Args:
        patterns: a folder, which is searched at any depth, a file, or a pattern of
            files, or of folders where no file matches; or several of these.
        classes: names that the checkpoint knows, background first.
        labels: whether tags.csv is looked for where one place is given.

    Raises:
        UserError: there is no image, or two have the same name but for an accent.
    """
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    paths = [os.path.expanduser(pattern) for pattern in given]
    if labels and len(paths) == 1 and os.path.isdir(paths[0]):
        if files.table_of_tags(Path(paths[0])):
            return folder("all", root=paths[0], classes=classes[1:])
    places = [_find(path) for path in paths]
    for pattern, path, place in zip(given, paths, places, strict=True):
        if not place.paths and not (place.passed or os.path.exists(path)):
            raise UserError(
                f"{pattern}: no image there that can be read; check the path or the "
                "pattern"
            )
    place = places[0] if len(places) == 1 else _together(places)
    name = _named(given)
    if not place.paths:
        raise UserError(
            f"{name}: no image there that can be read; passed over: "
            + (_in_words(place.passed) or "nothing, it is empty")
        )
    found = files.by_id(place.root, place.paths, keep_suffix=True)
    ids = tuple(found)
    read, guesses = images.photo_reader(found)

    def record(index):
        file = found[ids[index]]

        def photo(at_least=0):
            return read(file, str(file), at_least)

        size = functools.partial(headers.read_size, file)
        return Record(ids[index], photo, lambda: None, lambda: None, size)

    reading = Reading(
        photos=name,
        passed=dict(sorted(place.passed.items())),
        warnings=guesses,
    )
    return Source(name, classes, ids, record, reading=reading, files=found)


def _named(patterns: Sequence[str]) -> str:
    """The places in a few words."""
    more = len(patterns) - 3
    text = ", ".join(patterns[:3])
    return f"{text} and {more:,} more" if more > 0 else text


def _together(places: Sequence[_Found]) -> _Found:
    """The photos of several places, each once, below the folder that holds them all."""
    passed = sum((place.passed for place in places), Counter())
    paths: dict[str, None] = {}
    for place in places:
        root = os.path.abspath(place.root)
        for path in place.paths:
            file = os.path.normpath(os.path.join(root, path))
            passed["photo that is given twice"] += file in paths
            paths[file] = None
    if not paths:
        return _Found(Path(), [], +passed)
    try:
        common = os.path.commonpath({os.path.dirname(file) for file in paths})
    except ValueError as error:
        raise UserError(
            "the photos lie on several drives; give those of one at a time"
        ) from error
    cut = len(os.path.join(common, ""))
    return _Found(Path(common), sorted(Path(file[cut:]) for file in paths), +passed)


def _find(path: str) -> _Found:
    if os.path.isdir(path):
        tree = files.walk(Path(path))
        found, passed = _without_exports(tree.files)
        found = _readable(Path(path), found, tree.passed + passed)
        return _without_masks(found)
    file = Path(path)
    if os.path.lexists(path):
        why = files.unusable(file.parent, file.name)
        if why:
            raise UserError(f"{path}: {why}, not a photo; give a file or a folder")
        found = _readable(file.parent, [Path(file.name)], Counter())
        named = Counter({f"{why} ({path})": 1 for why in found.passed})
        return found._replace(passed=named)
    return _matching(path)


def _without_exports(paths: Sequence[Path]) -> tuple[list[Path], Counter]:
    """Files but for those of folders below that hold results of this program."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        if path.name == EXPORT_NOTE or path.name in _EXPORT_FILES:
            names.setdefault(path.parent, set()).add(path.name)
    exports = {
        folder
        for folder, found in names.items()
        if folder != Path() and (EXPORT_NOTE in found or found >= _EXPORT_FILES)
    }
    if not exports:
        return list(paths), Counter()
    left = [path for path in paths if not exports.intersection(path.parents)]
    return left, Counter({f"folder of results ({f})": 1 for f in sorted(exports)})


def _without_masks(found: _Found) -> _Found:
    """The photos of a folder but for masks of others, which names tell."""
    placed, _ = layouts.place(found.paths)
    masks = {one.path for one in placed if one.role == "mask"}
    left = {files.id_of(path): path for path in found.paths if path not in masks}
    masks.update(stems.beside(left).values())
    passed = found.passed + Counter({"mask of a photo": len(masks)})
    return found._replace(
        paths=[path for path in found.paths if path not in masks], passed=passed
    )


def _matching(pattern: str) -> _Found:
    """The photos that match, below their common folder."""
    root, rest = _literal_part(pattern)
    passed_over: dict[str, list[str]] = {}
    matched: list[Path] = []
    folders: list[Path] = []
    for name in sorted(_names(root, rest, passed_over)):
        why, path = _unwanted(root, name), Path(root, name)
        if why:
            passed_over.setdefault(why, []).append(name)
        else:
            (folders if path.is_dir() else matched).append(path)
    passed = files.named(passed_over)
    found = _readable(Path(root), matched, passed)
    if folders and not found.paths:
        for folder in folders:
            tree = files.walk(folder)
            passed += tree.passed
            matched += [folder / file for file in tree.files]
        found = _readable(Path(root), sorted(set(matched)), passed)
    elif folders and "**" not in rest:
        found.passed["folder that matches beside photos"] += len(folders)
    if not found.paths:
        return found
    common = Path(os.path.commonpath([path.parent for path in found.paths]))
    below = [path.relative_to(common) for path in found.paths]
    return found._replace(root=common, paths=below)


def _names(root: str, pattern: str, passed: dict[str, list[str]]) -> set[str]:
    """What matches a pattern below a folder; "**" goes into each folder once.

    Args:
        root: folder that the pattern is relative to.
        pattern: what `glob` takes.
        passed: gets why folders were passed over, and their names.
    """
    first, deep, rest = f"/{pattern}".replace(os.sep, "/").partition("/**")
    first, rest = first[1:], rest.lstrip("/") or "*"
    if not deep:
        return set(glob.glob(pattern, root_dir=root or "."))
    tops = glob.glob(first, root_dir=root or ".") if first else [""]
    found: set[str] = set()
    for top in tops:
        start = Path(root, top)
        for below, _ in files.folders(start, passed) if start.is_dir() else ():
            place = os.path.normpath(os.path.join(top, below))
            inside = _names(os.path.join(root, place), rest, passed)
            found |= {os.path.normpath(os.path.join(place, name)) for name in inside}
    return found


def _literal_part(pattern: str) -> tuple[str, str]:
    """A pattern as the folder that it begins with and is there, and the rest."""
    drive, tail = os.path.splitdrive(pattern)
    root = drive + os.sep if tail.startswith(os.sep) else drive
    parts = [part for part in tail.split(os.sep) if part]
    while len(parts) > 1 and os.path.isdir(os.path.join(root, parts[0])):
        root = os.path.join(root, parts.pop(0))
    return root, os.path.join(*parts) if parts else ""


def _unwanted(root: str, name: str) -> str:
    """Why a match is left out; "" where it is not."""
    parts = [part for part in Path(name).parts if part != ".."]
    if any(files.is_junk(part) for part in parts):
        return "hidden, or left by a system"
    why = files.unusable(Path(root), name)
    return "" if why == "folder" else why


def _readable(root: Path, paths: Iterable[Path], passed: Counter) -> _Found:
    """Of the files, those that are photos which can be read."""
    chosen, passed = [], Counter(passed)
    for path in paths:
        why = images.why_passed_over(path.name)
        if why is None:
            chosen.append(path)
        else:
            passed[why or path.suffix.lower() or "no suffix"] += 1
    return _Found(root, chosen, passed)


def _in_words(passed: Counter) -> str:
    return ", ".join(f"{count} x {why}" for why, count in sorted(passed.items()))
