"""Photographs without a data set around them, to predict."""

import functools
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import headers, images
from ppcjax.data_pipelines.sources import files, layouts, stems
from ppcjax.data_pipelines.sources.base import Reading, Record, Source
from ppcjax.data_pipelines.sources.folder import folder
from ppcjax.types import UserError


class _Found(NamedTuple):
    """What a path or a pattern names.

    root: folder that ids are relative to.
    paths: photos that can be read, relative to it.
    passed: what was passed over and why -> how many.
    """

    root: Path
    paths: list[Path]
    passed: Counter


def photos(pattern: str, classes: tuple[str, ...]) -> Source:
    """Photographs to predict: a folder, one file, or a pattern such as "a/*.jpg".

    What is there under exactly that name is meant, whatever letters it has; only what
    is not there is a pattern. A folder that holds tags.csv is read as source folder
    reads it; no other photo has tags or a mask. Masks that lie among the photos of a
    folder are passed over.

    Args:
        pattern: a folder, which is searched at any depth, a file, or a pattern of
            files, or of folders where no file matches.
        classes: names that the checkpoint knows, background first.

    Raises:
        UserError: there is no image, or two have the same name but for the suffix.
    """
    path = os.path.expanduser(pattern)
    if os.path.isdir(path) and files.table_of_tags(Path(path)):
        return folder("all", root=path, classes=classes[1:])
    place = _find(path)
    if not place.paths:
        why = _in_words(place.passed)
        raise UserError(
            f"{pattern}: no image there that can be read"
            + (f"; passed over: {why}" if why else "; check the path or the pattern")
        )
    found = files.by_id(place.root, place.paths)
    ids = tuple(found)
    read, guesses = images.photo_reader(found)

    def record(index):
        file = found[ids[index]]

        def photo(at_least=0):
            return read(file, str(file), at_least)

        size = functools.partial(headers.read_size, file)
        return Record(ids[index], photo, lambda: None, lambda: None, size)

    reading = Reading(
        photos=pattern,
        passed=dict(sorted(place.passed.items())),
        warnings=guesses,
    )
    return Source(pattern, classes, ids, record, reading=reading, files=found)


def _find(path: str) -> _Found:
    if os.path.isdir(path):
        tree = files.walk(Path(path))
        return _without_masks(_readable(Path(path), tree.files, tree.passed))
    if os.path.isfile(path):
        return _readable(Path(path).parent, [Path(Path(path).name)], Counter())
    return _matching(path)


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
    real = functools.cache(os.path.realpath)
    passed: Counter = Counter()
    matched: list[Path] = []
    folders: list[Path] = []
    for name in sorted(glob.glob(rest, root_dir=root or ".", recursive=True)):
        why = _unwanted(root, name, real)
        path = Path(root, name)
        if why:
            passed[why] += 1
        else:
            (folders if path.is_dir() else matched).append(path)
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


def _literal_part(pattern: str) -> tuple[str, str]:
    """A pattern as the folder that it begins with and is there, and the rest."""
    drive, tail = os.path.splitdrive(pattern)
    root = drive + os.sep if tail.startswith(os.sep) else drive
    parts = [part for part in tail.split(os.sep) if part]
    while len(parts) > 1 and os.path.isdir(os.path.join(root, parts[0])):
        root = os.path.join(root, parts.pop(0))
    return root, os.path.join(*parts) if parts else ""


def _unwanted(root: str, name: str, real: Callable[[str], str]) -> str:
    """Why a match is left out; "" where it is not. `real` is os.path.realpath."""
    parts = [part for part in Path(name).parts if part != ".."]
    if any(files.is_junk(part) for part in parts):
        return "hidden, or left by a system"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "file whose name is not UTF-8"
    above = [real(os.path.join(root, parent)) for parent in Path(name).parents]
    if ".." not in Path(name).parts and len(set(above)) < len(above):
        return "link to a folder that is there already"
    return "" if os.path.exists(os.path.join(root, name)) else "link that leads nowhere"


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
