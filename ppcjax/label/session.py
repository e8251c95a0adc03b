"""A folder that is being labelled: journal, state, masks and photos, under one lock."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ppcjax.console import screen
from ppcjax.label import actions, marks
from ppcjax.label.album import Album
from ppcjax.label.journal import Journal
from ppcjax.label.state import OF_MASKS, apply, replayed
from ppcjax.label.store import Proposal, Store
from ppcjax.types import UserError

JOURNAL = "journal.jsonl"
_SAID = 50  # lines that the page is told of
_LOOK = 3.0  # seconds between two looks at which photos are there


class Existing(Protocol):
    """What the user has already; `found.Found` is such."""

    def has_mask(self, i: int) -> bool:
        """Whether a mask of a photo is there."""

    def mask(self, i: int) -> np.ndarray | None:
        """That mask, [H, W] uint8 in class ids; None where there is none."""


class Session:
    """What all that ask share; every method may be called by any thread.

    album: the photos.
    store: the masks.
    folder: folder of the labels.
    state: what was done; only read it while `lock` is held.
    proposals: what is noted of the proposal of each photo that has one.
    dirty: photos whose mask file, or areas with what is drawn on it, are out of date.
    areas: shares of the classes of photos, and the mask's version that has them.
    spoken: how many times something was said.
    version: changes with whatever the page shows.
    """

    def __init__(self, album: Album, folder: Path, existing: Existing):
        """Opens the labels of photos; the folder is there, and held by this process.

        Args:
            album: the photos.
            folder: folder of the labels.
            existing: what the user has already.

        Raises:
            UserError: the journal cannot be read or written.
        """
        self.album, self.folder, self.store = album, folder, Store(folder)
        self.lock = threading.RLock()
        self.version = int(time.time() * 1000)
        self._existing = existing
        self._said: deque[str] = deque(maxlen=_SAID)
        self.spoken = 0
        self._journal = Journal(folder / JOURNAL)
        self.state = replayed(self._journal.entries)
        for line in (*album.said, *self._journal.said):
            self.say(line)
        self._journal.entries = []
        self._wake: Callable[[], None] = lambda: None
        self._missing: set[int] = set()
        self._looked = 0.0
        self.proposals: dict[int, Proposal] = {}
        self._made = 0  # number of the last proposal
        self.areas: dict[int, tuple[str, dict[int, float]]] = {}
        self.dirty: set[int] = set()
        self._find_masks()

    def _find_masks(self) -> None:
        """What lies there of masks, and which of them are out of date."""
        for i, key in enumerate(self.album.keys):
            photo, name = self.state.photo(key), self.album.ids[i]
            found = self.store.proposal(name)
            if found:
                self.proposals[i] = found
                self._made = max(self._made, found.made)
            if photo.settled:
                areas = self.store.written(name, photo.changed)
                if areas is None:
                    self.dirty.add(i)
                else:
                    self.areas[i] = f"{photo.changed}", areas
            elif photo.items and self.valid_proposal(i):
                self.dirty.add(i)
            elif photo.changed and self.store.mask_file(name).is_file():
                self.dirty.add(i)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Has a function called whenever there may be something to do."""
        self._wake = wake

    def say(self, line: str, *, again: bool = False) -> None:
        """Tells the page and the terminal a line.

        Args:
            line: what is told, once.
            again: whether it answers what a person has just done, and is told however
                often that is done.
        """
        with self.lock:
            if line in self._said:
                if not again:
                    return
                self._said.remove(line)
            self._said.append(line)
            self.spoken += 1
            self.version += 1
            screen.line(line)

    def said(self) -> list[str]:
        """The last lines that were said."""
        with self.lock:
            return list(self._said)

    def changed(self) -> None:
        """Notes that the page shows something else now."""
        with self.lock:
            self.version += 1

    # ---- actions
    def do(self, asked: Sequence[Any]) -> dict[str, Any]:
        """Does what a client asks for; what is applied is on the disk on return.

        Args:
            asked: actions; one that was applied before counts as applied.

        Returns:
            {"version", "applied": [ids], "refused": [{"id", "error"}]}.

        Raises:
            UserError: the disk refuses, and nothing of it counts.
        """
        applied, refused, entries = [], [], []
        with self.lock:
            for action in asked:
                name = action.get("id") if isinstance(action, Mapping) else None
                try:
                    if not isinstance(name, str) or name not in self.state.ids:
                        entries.append(self._entry(action))
                    applied.append(name)
                except UserError as error:
                    refused.append({"id": name, "error": str(error)})
            self._keep(entries)
        self._wake()
        return {"version": self.version, "applied": applied, "refused": refused}

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Keeps entries that the program itself makes; "n" and "at" are added."""
        with self.lock:
            self._keep([self._applied(entry) for entry in entries])
        self._wake()

    def _keep(self, entries: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._journal.append(entries)
        except UserError:
            self._journal.close()
            self._journal = Journal(self.folder / JOURNAL)
            self.state = replayed(self._journal.entries)
            self._journal.entries = []
            raise
        for entry in entries:
            if entry["kind"] in OF_MASKS:
                self.dirty.add(self.album.place(entry["photo"]))
        self.version += bool(entries)

    def _entry(self, action: Any) -> dict[str, Any]:
        """An action, checked, as it is kept; it is applied."""
        place = -1
        if isinstance(action, Mapping) and "photo" in action:
            place = self.place(action["photo"])
            action = {**action, "photo": self.album.keys[place]}
        found = actions.checked(self.state, action)
        if place >= 0 and found["kind"] in (*actions.MARKS, "import"):
            if not self.album.is_there(place):
                raise UserError(f"{self.album.keys[place]}: the photo is gone")
        if found["kind"] == "accept":
            found |= self._accepted(place, action.get("mask"))
        if found["kind"] == "import":
            found |= self._imported(place, found["as"])
        return self._applied(found)

    def _applied(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"n": self.state.n + 1, "at": at, **entry}
        apply(self.state, entry)
        return entry

    def place(self, number: Any) -> int:
        """A photo's number as clients give it. Raises: UserError, it is none."""
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or not 0 <= number < len(self.album):
            raise UserError(f"photo {number!r:.40} is none of this folder")
        return number

    def _accepted(self, i: int, seen: Any) -> dict[str, Any]:
        """What the entry of an accepted photo has beside."""
        if seen is not None and seen != self.mask_version(i):
            raise UserError("the proposal has changed meanwhile; look at it again")
        photo = self.state.photo(self.album.keys[i])
        if photo.settled:
            return {"base": photo.base, "shown": list(photo.shown)}
        found = self.valid_proposal(i)
        if found is None:
            if not photo.items:
                raise UserError("there is no proposal to accept, and nothing is marked")
            return {"base": "", "shown": []}
        shown = [key for key in found.areas if key]
        return {"base": self.store.accept_proposal(self.album.ids[i]), "shown": shown}

    def _imported(self, i: int, kind: str) -> dict[str, Any]:
        mask = self._existing.mask(i)
        if mask is None:
            raise UserError(f"{self.album.keys[i]}: no mask was found of it")
        if kind == "accepted":
            return self._base(mask)
        self.propose(i, mask, 0.0, after=self.state.n + 1)
        return {}

    def _base(self, mask: np.ndarray) -> dict[str, Any]:
        shown = [c for c in marks.shares(mask) if c]
        return {"base": self.store.accept(mask), "shown": shown}

    # ---- proposals
    def propose(
        self, i: int, mask: np.ndarray, uncertainty: float, *, after: int
    ) -> None:
        """Keeps what the program proposes for a photo.

        Args:
            i: number of the photo.
            mask: [H, W] uint8.
            uncertainty: from 0 to 1.
            after: number of the last entry that is taken into account.
        """
        areas = marks.shares(mask)
        with self.lock:
            if after < self.state.photo(self.album.keys[i]).thrown:
                return  # rejected meanwhile
            self._made += 1
            said = Proposal(self._made, after, round(uncertainty, 4), areas)
            self.store.propose(self.album.ids[i], mask, said)
            self.proposals[i] = said
            if self.state.photo(self.album.keys[i]).items:
                self.dirty.add(i)
            self.version += 1

    def valid_proposal(self, i: int) -> Proposal | None:
        """What is noted of the proposal that a photo has; None without one."""
        found = self.proposals.get(i)
        thrown = self.state.photo(self.album.keys[i]).thrown
        return found if found and found.after >= thrown else None

    # ---- what is shown
    def has_mask(self, i: int) -> bool:
        """Whether the user has a mask of a photo already."""
        return self._existing.has_mask(i)

    def missing(self) -> set[int]:
        """Photos whose files are gone; looked at every few seconds."""
        with self.lock:
            if time.monotonic() - self._looked > _LOOK:
                self._looked = time.monotonic()
                there = map(self.album.is_there, range(len(self.album)))
                gone = {i for i, is_there in enumerate(there) if not is_there}
                if gone != self._missing:
                    self._missing = gone
                    self.version += 1
            return self._missing

    def mask_version(self, i: int) -> str | None:
        """What changes with the mask that is shown of a photo; None without one."""
        with self.lock:
            photo, found = self.state.photo(self.album.keys[i]), self.valid_proposal(i)
            if photo.settled:
                return f"{photo.changed}"
            return f"{photo.changed}.{found.made}" if found else None

    def close(self) -> None:
        """Closes the journal."""
        self._journal.close()
