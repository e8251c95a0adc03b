"""What the user has already: photos, and classes, tags and masks of them."""

from pathlib import Path

import numpy as np

from ppcjax.console.words import counted
from ppcjax.data_pipelines import SOURCES, Source
from ppcjax.label.actions import COLOURS, MOST_CLASSES
from ppcjax.label.session import Session
from ppcjax.types import IGNORE, UserError

_BACKGROUND = "background"


class Found:
    """A folder of photos as the data side reads it; nothing of it is changed.

    source: what was read.
    said: what was guessed or could not be read, one line each.
    """

    def __init__(self, root: Path):
        """Reads a folder.

        Args:
            root: the folder.

        Raises:
            UserError: it holds no photo.
        """
        self.said: list[str] = []
        self.source = self._open(root)
        self._values = np.zeros(256, np.uint8)
        self._ids = self.source.ids

    def _open(self, root: Path) -> Source:
        try:
            found = SOURCES["folder"]("all", False, root=str(root))
        except UserError as error:
            found = SOURCES["photos"]("all", root=str(root))
            self.said.append(f"masks and tags are not read: {error}")
            return found
        self.said += found.reading.warnings
        return found

    @property
    def files(self) -> dict[str, Path]:
        """File of each photo by its id, in their order."""
        return {key: self.source.files[key] for key in self.source.ids}

    def has_mask(self, i: int) -> bool:
        """Whether a mask of a photo is there."""
        return self._ids[i] in self.source.masked

    def mask(self, i: int) -> np.ndarray | None:
        """The mask of a photo in the session's ids, [H, W] uint8; None for none.

        Raises:
            UserError: it cannot be read, or has another size than its photo.
        """
        record = self.source.record(i)
        mask = record.mask() if self.has_mask(i) else None
        if mask is None:
            return None
        if record.size is not None and mask.shape != record.size():
            raise UserError(f"{self._ids[i]}: its mask has another size than the photo")
        return self._values[np.where(mask == IGNORE, IGNORE, mask).astype(np.uint8)]

    def enter(self, session: Session) -> None:
        """Adds to a session the classes that are new to it, and at first the tags.

        Args:
            session: a session of these photos.
        """
        first = session.state.n == 0
        names = self.source.classes
        self._values[IGNORE] = IGNORE
        for value, name in enumerate(names):
            if not (value == 0 and name == _BACKGROUND):
                self._values[value] = self._class_of(session, name)
        for line in self.said:
            session.say(line)
        masks = len(self.source.masked)
        if masks and first:
            have = counted(masks, "photo has a mask", "photos have masks")
            session.say(f"{have} already: accept what is there, or take it as proposed")
        if first and self.source.tags_by == "table":
            self._enter_tags(session)

    def _class_of(self, session: Session, name: str) -> int:
        state = session.state
        for key, one in state.classes.items():
            if name in (one.origin, one.name):
                return key
        if len(state.classes) >= MOST_CLASSES:
            raise UserError(f"there are more than {MOST_CLASSES} classes")
        free = set(range(1, MOST_CLASSES + 1)) - set(state.classes)
        later = {key for key in free if key > state.used}
        key = min(later or free)
        colour = COLOURS[(key - 1) % len(COLOURS)]
        added = {"kind": "class_add", "class": key, "name": name, "colour": colour}
        session.add([{**added, "origin": name}])
        return key

    def _enter_tags(self, session: Session) -> None:
        entries = []
        for i in range(len(self.source.ids)):
            tags = self.source.record(i).tags()
            for value in () if tags is None else np.flatnonzero(tags):
                if self._values[value] and self.source.classes[value] != _BACKGROUND:
                    tag = {"class": int(self._values[value]), "on": True}
                    key = session.album.keys[i]
                    entries.append({"kind": "tag", "photo": key, **tag})
        session.add(entries)
