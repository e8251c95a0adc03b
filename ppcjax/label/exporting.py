"""Masks for other tools, in a folder of their own each time."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.checkout import program
from ppcjax.console import writing
from ppcjax.console.words import counted
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
        formats: keys of WRITERS; none where tags are all that is wanted.
        which: "accepted" for what a person has settled, "all" for proposals as well.

    Returns:
        {"folder": path, "said": lines}.

    Raises:
        UserError: there is nothing to write, or a name that a format cannot hold.
    """
    known = f"formats: give some of {', '.join(WRITERS)}"
    fits = isinstance(formats, list)
    if not fits or not all(isinstance(x, str) and x in WRITERS for x in formats):
        raise UserError(known)
    if which not in WHICH:
        raise UserError(f"which: give one of {', '.join(WHICH)}")
    photos = chosen(session, which) if formats else []
    if formats and not photos:
        raise UserError("no mask is accepted yet: accept one, or export all")
    tagged = tagged_photos(session)
    if not formats and not tagged:
        raise UserError(f"there are no tags; {known}")
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
    said = []
    if formats:
        masks, classes = counted(len(photos), "mask"), len(names)
        classes = counted(classes, "class", "classes")
        said.append(f"{masks}, {classes}: {', '.join(formats)}")
    if tagged:
        write_tagged(session, folder / "tags", tagged)
        said.append(
            f"{counted(len(tagged), 'photo')} with tags: tags/, from which "
            f"`{program('train')} --config ppc_dino_folder "
            f"--config.data.root={folder / 'tags'}` learns"
        )
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


def new_folder(session: Session, kind: str = _FOLDER) -> Path:
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


def tagged_photos(session: Session) -> list[int]:
    """Numbers of the photos that are there and have tags."""
    missing = session.missing()
    with session.lock:
        return [
            i
            for i, key in enumerate(session.album.keys)
            if i not in missing and session.state.photo(key).tags
        ]


def write_tagged(session: Session, folder: Path, photos: list[int]) -> None:
    """A folder of photos and their tags, as `source="folder"` reads it.

    Args:
        session: the session.
        folder: it is made.
        photos: numbers of those that have tags.
    """
    link_photos(session, folder, photos)
    with session.lock:
        rows = ["image,tags"]
        for i in photos:
            tags = sorted(session.state.photo(session.album.keys[i]).tags)
            names = ";".join(session.state.classes[tag].name for tag in tags)
            name = f"{session.album.ids[i]}{session.album.file(i).suffix}"
            rows.append(f"{_cell(name)},{_cell(names)}")
    content = "".join(f"{row}\n" for row in rows).encode()
    writing.write_file(folder / "tags.csv", content)
    write_names(session, folder)


def link_photos(session: Session, folder: Path, photos: list[int]) -> None:
    """Has some photos lie in images/ of a folder, too."""
    album = session.album
    for i in photos:
        name = f"{album.ids[i]}{album.file(i).suffix}"
        writing.link_file(folder / "images" / name, album.file(i))


def write_names(session: Session, folder: Path) -> None:
    """Writes classes.txt of a folder, in the order of `contiguous`."""
    classes = session.state.classes
    names = ["background", *(classes[key].name for key in contiguous(session))]
    content = "".join(f"{name}\n" for name in names).encode()
    writing.write_file(folder / "classes.txt", content)


def _cell(text: str) -> str:
    special = any(letter in text for letter in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if special else text
