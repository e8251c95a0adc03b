"""Photographs without a data set around them, to predict."""

import glob
import os
from functools import partial
from pathlib import Path

from ppcjax.data_pipelines import headers, images
from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.data_pipelines.sources.folder import folder
from ppcjax.types import UserError


def photos(pattern: str, classes: tuple[str, ...]) -> Source:
    """Photographs to predict: a folder, one file, or a pattern such as "a/*.jpg".

    A folder that holds tags.csv is read as source folder reads it; no other photo has
    tags or a mask.

    Args:
        pattern: a folder, which is searched at any depth, a file, or a pattern of
            files.
        classes: names that the checkpoint knows, background first.

    Raises:
        UserError: there is no image, or two have the same name but for the suffix.
    """
    path = Path(pattern).expanduser()
    if (path / "tags.csv").is_file():
        return folder("all", root=str(path), classes=classes[1:])
    found = files.find_images(path) if path.is_dir() else _matching(str(path))
    if not found:
        raise UserError(f"{pattern}: no image there; check the path or the pattern")
    ids = tuple(found)

    def record(index):
        file = found[ids[index]]

        def photo(at_least=0):
            return images.read_photo(file, str(file), at_least=at_least)

        size = partial(headers.read_size, file)
        return Record(ids[index], photo, lambda: None, lambda: None, size)

    return Source(pattern, classes, ids, record)


def _matching(pattern: str) -> dict[str, Path]:
    """Image files that match, by path without suffix below their common folder."""
    paths = [
        Path(path)
        for path in sorted(glob.glob(pattern, recursive=True))
        if path.lower().endswith(images.IMAGE_SUFFIXES)
    ]
    if not paths:
        return {}
    root = Path(os.path.commonpath([path.parent for path in paths]))
    found: dict[str, Path] = {}
    for path in paths:
        key = files.without_suffix(path.relative_to(root).as_posix())
        if key in found:
            raise UserError(
                f"{path} and {found[key].name} differ only by suffix; rename one"
            )
        found[key] = path
    return found
