"""Masks of a session: what lies on the disk, with the marks on top."""

import threading

import numpy as np
from PIL import Image

from ppcjax.label import marks
from ppcjax.label.album import reduced
from ppcjax.label.session import Session
from ppcjax.types import UserError

_writing = threading.Lock()


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
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        items, settled, base = list(photo.items), photo.settled, photo.base
        proposed = not settled and session.valid_proposal(i) is not None
    if not settled and not proposed:
        return None
    full = session.album.size(i)
    size = reduced(full, side) if side else full
    if settled == "none":
        return np.zeros(size, np.uint8)
    name = session.album.ids[i]
    found = session.store.proposed(name) if proposed else None
    found = session.store.accepted(base) if base else found
    lines = marks.drawn(items, full, size, boxes=found is None)
    return marks.composed(None if found is None else _at(found, size), lines)


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
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        items, settled, base = list(photo.items), photo.settled, photo.base
    if settled == "none":
        return np.zeros(size, np.uint8)
    if not items and not base:
        return None
    found = _at(session.store.accepted(base), size) if base else None
    lines = marks.drawn(items, session.album.size(i), size, boxes=found is None)
    return marks.composed(found, lines)


def write_all(session: Session) -> None:
    """Brings the files of settled masks up to date."""
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
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        settled, changed = photo.settled, photo.changed
    if not settled:
        session.store.remove_mask(session.album.ids[i])
        return
    found = mask(session, i)
    if found is not None:
        areas = marks.shares(found)
        session.store.write_mask(session.album.ids[i], found, changed, areas)
        with session.lock:
            session.areas[i] = areas
            session.version += 1


def _at(found: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size, its values as they are."""
    if found.shape == size:
        return found
    image = Image.fromarray(found).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(image)
