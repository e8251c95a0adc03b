"""What the page is told: the whole state as JSON types."""

from collections import Counter
from typing import Any

from ppcjax.console.words import counted
from ppcjax.label import marks
from ppcjax.label.actions import ERASER
from ppcjax.label.session import Session
from ppcjax.types import UserError

STATUSES = ("new", "marked", "proposed", "accepted", "none", "rejected", "missing")
_MARKED = "photo is marked", "photos are marked"
_TAGGED = "photo has tags", "photos have tags"
_ENOUGH_TAGS = 20  # tagged photos from which on PPC has something to learn


def of(session: Session, progress: dict[str, Any]) -> dict[str, Any]:
    """The state of a session.

    Args:
        session: the session.
        progress: what `progress` of the page holds, but for what was said.

    Returns:
        JSON types, as docs/label.md lists them.
    """
    missing = session.missing()
    with session.lock:
        said = {"said": session.said(), "spoken": session.spoken}
        photos = [_photo(session, i, missing) for i in range(len(session.album))]
        counts = Counter(photo["status"] for photo in photos)
        return {
            "version": session.version,
            "photos": photos,
            "classes": [
                {
                    "class": key,
                    "name": one.name,
                    "colour": one.colour,
                    "key": place if place <= 9 else None,
                }
                for place, (key, one) in enumerate(session.state.classes.items(), 1)
            ],
            "counts": {name: counts[name] for name in STATUSES},
            "progress": {**progress, **said},
            "roads": _roads(session, photos),
        }


def status(session: Session, i: int, missing: set[int]) -> str:
    """What has become of a photo, one of STATUSES."""
    photo = session.state.photo(session.album.keys[i])
    if i in missing:
        return "missing"
    if photo.settled:
        return photo.settled
    if session.valid_proposal(i):
        return "proposed"
    if photo.rejected:
        return "rejected"
    return "marked" if photo.items else "new"


def _photo(session: Session, i: int, missing: set[int]) -> dict[str, Any]:
    key = session.album.keys[i]
    photo = session.state.photo(key)
    proposal = session.valid_proposal(i)
    height, width = _size(session, i)
    open_one = proposal is not None and not photo.settled
    return {
        "id": i,
        "name": key,
        "width": width,
        "height": height,
        "status": status(session, i, missing),
        "uncertainty": proposal.uncertainty if open_one else None,
        "tags": sorted(photo.tags),
        "areas": _areas(session, i),
        "marks": len(photo.items),
        "mask": session.mask_version(i),
        "found": session.has_mask(i),
    }


def _areas(session: Session, i: int) -> dict[int, float]:
    """Share of a photo of each class, as accepting it writes it.

    {} where there is no mask, or until what was drawn on it is counted.
    """
    version, areas = session.areas.get(i, ("", {}))
    if version == session.mask_version(i):
        return areas
    photo, found = session.state.photo(session.album.keys[i]), session.valid_proposal(i)
    is_plain = found is not None and not photo.settled and not photo.items
    return found.areas if is_plain else {}


def _size(session: Session, i: int) -> tuple[int, int]:
    """(0, 0) where nobody knows."""
    try:
        return session.album.size(i)
    except UserError:
        return 0, 0


def _roads(session: Session, photos: list[dict[str, Any]]) -> dict[str, Any]:
    """Which ways to masks fit what is there."""
    tagged = sum(bool(photo["tags"]) for photo in photos)
    marked = sum(
        bool(photo["marks"]) or photo["status"] in ("accepted", "none")
        for photo in photos
    )
    by_tags = tagged >= _ENOUGH_TAGS
    of_tags, of_marks = counted(tagged, *_TAGGED), counted(marked, *_MARKED)
    lacks = needs(session)
    if by_tags and not marked:
        said = f"{of_tags}: Train learns masks from them alone, by PPC; "
        said += "or mark a few photos"
    elif lacks:
        said = f"examples: {of_marks}, one class alone; a line of background (key 0) "
        said += "shows where it ends"
    elif marked:
        said = f"examples: {of_marks}, all others can be proposed"
        said += f"; {of_tags}, from which PPC learns, too" * by_tags
    else:
        said = (
            "examples: mark one to five photos and press Propose; tags, keys 1 to 9, "
            f"suit {_ENOUGH_TAGS} photos and more of things that strokes miss"
        )
    return {"examples": bool(marked), "tags": by_tags, "needs": lacks, "said": said}


def needs(session: Session) -> str:
    """What the marks lack before they can be learnt from: "background" or ""."""
    classes: set[int] = set()
    for key, photo in session.state.photos.items():
        if session.album.place(key) < 0:
            continue
        if photo.settled == "none" or photo.base:
            return ""
        for item in marks.left(photo.items):
            if item["class"] == 0 or item["kind"] == "box":
                return ""  # outside its boxes a photo is background
            classes.add(item["class"])
    return "background" if len(classes - {ERASER}) == 1 else ""


def marks_of(session: Session, i: int) -> dict[str, Any]:
    """The marks of a photo that count, and whether some can be taken or brought back.

    Args:
        session: the session.
        i: number of the photo.
    """
    with session.lock:
        photo = session.state.photo(session.album.keys[i])
        return {
            "items": list(photo.items),
            "undo": bool(photo.items),
            "redo": bool(photo.undone),
        }
