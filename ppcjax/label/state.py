"""What actions make of a folder: a fold over the journal, without files.

Nothing here may fail: what comes in was checked by `actions` before it was kept, and
an entry that an other version wrote and that is not known is passed over.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

MARKS = ("stroke", "box", "fix")  # what undo and redo are of


@dataclasses.dataclass
class ClassOf:
    """A class.

    name: what it is called.
    colour: its colour as "#rrggbb".
    origin: its name among the user's own files; "" where it is not from there.
    """

    name: str
    colour: str
    origin: str = ""


@dataclasses.dataclass
class PhotoOf:
    """What is known of a photo.

    items: marks that count, in the order in which they were drawn.
    undone: marks that were taken back, the last of them first to come again.
    settled: "accepted", "none" for background throughout, or "" for neither.
    base: digest of the mask that was accepted; "" where marks alone make it.
    shown: classes that the base holds.
    tags: classes that the photo has as a whole.
    rejected: whether it was rejected, and nothing was done to it since.
    thrown: number of the entry since which earlier proposals do not count.
    changed: number of the last entry that was about its marks or mask.
    """

    items: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    undone: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    settled: str = ""
    base: str = ""
    shown: tuple[int, ...] = ()
    tags: set[int] = dataclasses.field(default_factory=set)
    rejected: bool = False
    thrown: int = 0
    changed: int = 0


@dataclasses.dataclass
class State:
    """All of it.

    n: number of the last entry; 0 where there is none.
    classes: the classes by id, 1 to 254.
    used: largest id that a class ever had, so that none comes twice.
    photos: what is known of photos, by path; one that is not there has nothing.
    ids: names that clients gave to their actions.
    """

    n: int = 0
    classes: dict[int, ClassOf] = dataclasses.field(default_factory=dict)
    used: int = 0
    photos: dict[str, PhotoOf] = dataclasses.field(default_factory=dict)
    ids: set[str] = dataclasses.field(default_factory=set)

    def photo(self, key: str) -> PhotoOf:
        """What is known of a photo; nothing is changed by asking."""
        return self.photos.get(key) or PhotoOf()


def replayed(entries: Iterable[Mapping[str, Any]]) -> State:
    """The state after all entries of a journal."""
    state = State()
    for entry in entries:
        apply(state, entry)
    return state


def apply(state: State, entry: Mapping[str, Any]) -> None:
    """Changes a state by an entry.

    Args:
        state: it is changed.
        entry: what `actions.checked` returns, with its number "n".
    """
    state.n = max(state.n, entry["n"])
    if entry.get("id"):
        state.ids.add(entry["id"])
    kind = entry["kind"]
    if kind in _CLASSES:
        _CLASSES[kind](state, entry)
    elif kind in _PHOTOS:
        photo = state.photos.setdefault(entry["photo"], PhotoOf())
        _PHOTOS[kind](photo, entry)
        if kind in OF_MASKS:
            photo.changed = entry["n"]


def _add(state, entry):
    origin = entry.get("origin", "")
    state.classes[entry["class"]] = ClassOf(entry["name"], entry["colour"], origin)
    state.used = max(state.used, entry["class"])


def _rename(state, entry):
    state.classes[entry["class"]].name = entry["name"]


def _recolour(state, entry):
    state.classes[entry["class"]].colour = entry["colour"]


def _remove(state, entry):
    state.classes.pop(entry["class"], None)
    for photo in state.photos.values():  # what was taken back does not come again
        photo.undone = [m for m in photo.undone if m["class"] != entry["class"]]


def _mark(photo, entry):
    kept = ("kind", "class", "points", "width", "box")
    photo.items.append({name: entry[name] for name in kept if name in entry})
    photo.undone.clear()
    photo.rejected = False


def _undo(photo, entry):
    if photo.items:
        photo.undone.append(photo.items.pop())


def _redo(photo, entry):
    if photo.undone:
        photo.items.append(photo.undone.pop())


def _accept(photo, entry):
    photo.settled, photo.rejected = "accepted", False
    photo.base, photo.shown = entry["base"], tuple(entry["shown"])


def _none(photo, entry):
    photo.settled, photo.rejected, photo.base, photo.shown = "none", False, "", ()


def _reject(photo, entry):
    photo.settled, photo.base, photo.shown = "", "", ()
    photo.rejected, photo.thrown = True, entry["n"]


def _reopen(photo, entry):
    photo.settled, photo.base, photo.shown = "", "", ()
    photo.rejected = False


def _tag(photo, entry):
    (photo.tags.add if entry["on"] else photo.tags.discard)(entry["class"])


def _import(photo, entry):
    if entry["as"] == "accepted":
        _accept(photo, entry)
    else:
        _reopen(photo, entry)


_CLASSES = {
    "class_add": _add,
    "class_rename": _rename,
    "class_colour": _recolour,
    "class_remove": _remove,
}
_PHOTOS = {
    **dict.fromkeys(MARKS, _mark),
    "undo": _undo,
    "redo": _redo,
    "accept": _accept,
    "reject": _reject,
    "none": _none,
    "reopen": _reopen,
    "tag": _tag,
    "import": _import,
}
# What changes the mask that a person has settled, or which it is.
OF_MASKS = (*MARKS, "undo", "redo", "accept", "reject", "none", "reopen", "import")


def users(state: State, class_id: int) -> str:
    """The path of a photo whose marks, tags or mask hold a class; "" for none."""
    for key, photo in state.photos.items():
        if (
            class_id in photo.tags
            or class_id in photo.shown
            or any(item["class"] == class_id for item in photo.items)
        ):
            return key
    return ""
