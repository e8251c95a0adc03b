"""Masks of a session: what lies on the disk, with the marks on top."""

import threading
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.label import marks
from ppcjax.label.album import reduced
from ppcjax.label.session import Session
from ppcjax.types import UserError

_writing = threading.Lock()


class _Photo(NamedTuple):
    """What a mask of a photo is made of; `proposed` whether of a proposal."""

    items: list[dict[str, Any]]
    settled: str
    base: str
    proposed: bool


def _read(session: Session, i: int) -> _Photo:
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        proposed = not photo.settled and session.valid_proposal(i) is not None
        return _Photo(list(photo.items), photo.settled, photo.base, proposed)


def _composed(session: Session, i: int, photo: _Photo, size) -> np.ndarray:
    """What lies on the disk of a photo, with the marks on top."""
    if photo.settled == "none":
        return np.zeros(size, np.uint8)
    found = None
    if photo.base:
        found = _at(session.store.accepted(photo.base), size)
    elif photo.proposed:
        found = _at(session.store.proposed(session.album.ids[i]), size)
    full = session.album.size(i)
    lines = marks.drawn(photo.items, full, size, boxes=found is None)
    return marks.composed(found, lines)


def mask(session: Session, i: int, side: int = 0) -> np.ndarray | None:
    """The mask of a photo with what is marked on it.

    Args:
        session: the session.
        i: number of the photo.
        side: largest longer side, pixels; 0: the photo's own.

    Returns:
        [h, w] uint8 class ids, IGNORE unknown; None where there is none.

    Raises:
        UserError: a file is gone.
    """
    photo = _read(session, i)
    if not photo.settled and not photo.proposed:
        return None
    full = session.album.size(i)
    return _composed(session, i, photo, reduced(full, side) if side else full)


def truth(session: Session, i: int, size: tuple[int, int]) -> np.ndarray | None:
    """What is known of a photo for sure, at any size.

    Args:
        session: the session.
        i: number of the photo.
        size: (height, width).

    Returns:
        [height, width] uint8 class ids, IGNORE unknown; None where nothing is known.

    Raises:
        UserError: a file is gone.
    """
    photo = _read(session, i)
    if not photo.settled and not photo.items:
        return None
    return _composed(session, i, photo._replace(proposed=False), size)


def write_all(session: Session) -> None:
    """Brings the files of settled masks, and areas of what is drawn on, up to date."""
    with _writing:
        while True:
            with session.lock:
                if not session.dirty:
                    return
                i = session.dirty.pop()
            try:
                _write(session, i)
            except UserError as error:
                session.say(str(error))


def _write(session: Session, i: int) -> None:
    if i < 0:
        return  # of a photo that is in the journal, and not in the folder any more
    name = session.album.ids[i]
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        settled, changed = photo.settled, photo.changed
        version = session.mask_version(i)
    if not settled:
        session.store.remove_mask(name)
    if version is None or (not settled and not photo.items):
        return
    found = mask(session, i)
    if found is not None:
        areas = marks.shares(found)
        if settled:
            session.store.write_mask(name, found, changed, areas)
        with session.lock:
            session.areas[i] = version, areas
            session.version += 1


def _at(found: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size, its values as they are."""
    if found.shape == size:
        return found
    image = Image.fromarray(found).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(image)
