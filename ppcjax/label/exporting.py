"""Masks for other tools, in a folder of their own each time."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ppcjax.console import writing
from ppcjax.data_pipelines.formats import WRITERS, Exported, check_names
from ppcjax.label import composing, view
from ppcjax.label.session import Session
from ppcjax.types import IGNORE, UserError

WHICH = ("accepted", "all")
_FOLDER = "exports"


def export(session: Session, formats: Any, which: Any) -> dict[str, Any]:
    """Writes masks in formats of other tools, and the tags of photos.

    Args:
        session: the session.
        formats: keys of WRITERS.
        which: "accepted" for what a person has settled, "all" for proposals as well.

    Returns:
        {"folder": path, "said": lines}.

    Raises:
        UserError: there is nothing to write, or a name that a format cannot hold.
    """
    fits = isinstance(formats, list) and formats
    if not fits or not all(isinstance(x, str) and x in WRITERS for x in formats):
        raise UserError(f"formats: give some of {', '.join(WRITERS)}")
    if which not in WHICH:
        raise UserError(f"which: give one of {', '.join(WHICH)}")
    photos = chosen(session, which)
    if not photos:
        raise UserError("no mask is accepted yet: accept one, or export all")
    ids = contiguous(session)
    names = {value: session.state.classes[key].name for key, value in ids.items()}
    for name in formats:
        check_names(name, names)
    composing.write_all(session)
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    for key, value in ids.items():
        table[key] = value
    folder = new_folder(session)
    entries = list(_exported(session, photos, table))
    for name in dict.fromkeys(formats):
        for path, content in WRITERS[name](entries, names):
            writing.write_file(folder / name / path, content)
    said = [f"{len(photos)} masks, {len(names)} classes: {', '.join(formats)}"]
    if any(photo.tags for photo in session.state.photos.values()):
        writing.write_file(folder / "tags.csv", _tags(session))
        said.append("tags of photos: tags.csv")
    return {"folder": str(folder), "said": said}


def chosen(session: Session, which: str) -> list[int]:
    """Numbers of the photos that are written; `which` as `export` takes it."""
    kinds = ("accepted", "none", "proposed")[: 3 if which == "all" else 2]
    missing = session.missing()
    with session.lock:
        return [
            i
            for i in range(len(session.album))
            if view.status(session, i, missing) in kinds
        ]


def contiguous(session: Session) -> dict[int, int]:
    """Id of each class in the session -> its id in files, 1, 2, ... in that order."""
    with session.lock:
        return {key: i for i, key in enumerate(sorted(session.state.classes), 1)}


def new_folder(session: Session, kind: str = _FOLDER) -> Any:
    """A folder that nothing was ever written to; it is not made yet."""
    number = 1
    while (session.folder / kind / f"{number:04d}").exists():
        number += 1
    return session.folder / kind / f"{number:04d}"


def _exported(session: Session, photos: list[int], table: np.ndarray) -> Iterator:
    for i in photos:
        mask = functools.partial(_mask, session, i, table)
        yield Exported(session.album.ids[i], session.album.keys[i], mask)


def _mask(session: Session, i: int, table: np.ndarray) -> np.ndarray:
    found = composing.mask(session, i)
    if found is None:
        raise UserError(f"{session.album.keys[i]}: its mask went away meanwhile")
    return table[found]


def _tags(session: Session) -> bytes:
    """A table image,tags as the data side reads it."""
    with session.lock:
        rows = ["image,tags"]
        for key, photo in sorted(session.state.photos.items()):
            names = [session.state.classes[tag].name for tag in sorted(photo.tags)]
            if names:
                rows.append(f"{_cell(key)},{_cell(';'.join(names))}")
    return "".join(f"{row}\n" for row in rows).encode()


def _cell(text: str) -> str:
    special = any(letter in text for letter in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if special else text
