"""The thread that looks at photos, learns and proposes, one small piece at a time.

What is most wanted comes first: files of masks, the proposal of the photo in view,
those of all others, and then the features of photos, in the order in which they were
looked at.
"""

import contextlib
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ppcjax.console import screen
from ppcjax.label import composing
from ppcjax.label.learning import MOST_EXAMPLES, Example, Learner
from ppcjax.label.looks import Looks
from ppcjax.label.session import Session
from ppcjax.runs import Run
from ppcjax.types import UserError

BY = ("examples", "trained")  # what proposes


class Proposer(Protocol):
    """What proposes masks; `training.Trained` is such."""

    def __call__(self, i: int) -> tuple[np.ndarray, float]:
        """Mask [H, W] uint8 and uncertainty of a photo."""


class Worker(threading.Thread):
    """Works until it is stopped; all that it finds goes to the session.

    broken: why there is no network, or "".
    """

    def __init__(self, session: Session, open_network: Callable[[], Run]):
        """For a session.

        Args:
            session: gets what is found.
            open_network: opens the network; it is called in this thread.
        """
        super().__init__(name="label", daemon=True)
        self._session, self._open = session, open_network
        self._wake = threading.Condition()
        self._stopped = False
        self._looks: Looks | None = None
        self._learner: Learner | None = None
        self._asked: int | None = None  # photo in view of a request; -1 for none
        self._by = ""
        self._proposer: Proposer | None = None
        self._trained: Proposer | None = None
        self._queue: deque[int] = deque()
        self._after = 0
        self._total = 0
        self._viewed: deque[int] = deque(maxlen=64)
        self._unseen = deque(range(len(session.album)))
        self._unreadable: set[int] = set()
        self._truths: dict[int, tuple[int, np.ndarray | None]] = {}
        self.broken = ""
        session.on_change(self.wake)

    # ---- what others ask for
    def wake(self) -> None:
        """Has it look for something to do."""
        with self._wake:
            self._wake.notify_all()

    def stop(self) -> None:
        """Ends it after what it does at the moment."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def view(self, i: int) -> None:
        """Notes that a photo is looked at."""
        with self._wake:
            if not self._viewed or self._viewed[-1] != i:
                self._viewed.append(i)
                self._wake.notify_all()

    def propose(self, i: int, by: str = "") -> None:
        """Asks for proposals from all that is marked now.

        Args:
            i: photo in view, which comes first; -1 for none.
            by: what proposes, one of BY; "": what was trained, if anything was.

        Raises:
            UserError: there is no network, or too little is marked.
        """
        if by not in ("", *BY):
            raise UserError(f"by: give one of {', '.join(BY)}")
        if by == "trained" and self._trained is None:
            raise UserError("no segmenter is trained yet")
        if self.broken:
            raise UserError(self.broken)
        learns = by == "examples" or self._trained is None
        with self._session.lock:
            photos = self._session.state.photos.values()
            if learns and not any(photo.items or photo.settled for photo in photos):
                raise UserError(
                    "nothing is marked yet: draw a stroke or a box on a photo"
                )
        with self._wake:
            self._asked, self._by = i, by
            self._wake.notify_all()

    def use(self, proposer: Proposer | None) -> None:
        """Has a trained network propose from now on; None: the examples do again."""
        with self._wake:
            self._trained = proposer

    def progress(self) -> dict[str, list[int]]:
        """How many photos of how many are looked at, and proposed for."""
        count = len(self._session.album)
        seen = self._looks.done if self._looks else 0
        with self._wake:
            left = len(self._queue) + (self._asked is not None)
            return {
                "features": [seen, count],
                "proposals": [max(self._total - left, 0), self._total],
            }

    # ---- the thread
    def run(self) -> None:
        """Works."""
        while (job := self._next()) is not None:
            try:
                job()
            except UserError as error:
                self._session.say(str(error))
            except Exception as error:  # what libraries raise must not end proposals
                screen.line(traceback.format_exc())
                self._session.say(f"a piece of work failed: {type(error).__name__}")
            self._session.changed()

    def _next(self) -> Callable[[], None] | None:
        """What to do; waits for it. None where the thread shall end."""
        with self._wake:
            while not self._stopped:
                job = self._job()
                if job is not None:
                    return job
                self._wake.wait()
        return None

    def _job(self) -> Callable[[], None] | None:
        if self._session.dirty:
            return lambda: composing.write_all(self._session)
        if self.broken:
            self._asked = None
            return None
        if self._learner is None:
            return self._begin
        if self._asked is not None:
            return self._fit
        if self._queue:
            i = self._queue.popleft()
            return lambda: self._propose(i)
        for queue in (self._viewed, self._unseen):
            while queue:
                i = queue.pop() if queue is self._viewed else queue.popleft()
                if not self._looks.is_done(i) and i not in self._unreadable:
                    return lambda: self._see(i)
        return None

    def _begin(self) -> None:
        try:
            run = self._open()
        except UserError as error:
            self.broken = f"there are no proposals: {error}"
            raise UserError(self.broken) from error
        except Exception:
            self.broken = "there are no proposals: the network cannot be opened"
            raise
        self._looks = Looks(run, self._session.album)
        self._learner = Learner(run, self._looks)

    def _see(self, i: int) -> None:
        try:
            self._looks(i)
        except UserError as error:
            self._unreadable.add(i)
            if self._session.album.is_there(i):
                self._session.say(str(error))

    def _fit(self) -> None:
        with self._wake:
            first, self._asked = self._asked, None
            trained = None if self._by == "examples" else self._trained
            self._queue.clear()
            self._total = 0
        with self._session.lock:
            self._after = self._session.state.n
            chosen = self._open_photos(first)
        self._proposer = trained or self._of_examples()
        with self._wake:
            self._queue, self._total = deque(chosen), len(chosen)

    def _open_photos(self, first: int) -> list[int]:
        """Photos that get a proposal: the one in view, then the uncertain ones."""
        session, missing = self._session, self._session.missing()
        keys = session.album.keys
        chosen = [
            i
            for i in range(len(keys))
            if i not in missing and not session.state.photo(keys[i]).settled
        ]

        def order(i):
            known = session.proposals.get(i)
            return i != first, -(known.uncertainty if known else 0.0), i

        return sorted(chosen, key=order)

    def _of_examples(self) -> Proposer:
        fit = self._learner.fit(self._examples())

        def propose(i):
            found = self._learner.scores(fit, self._looks(i))
            size = self._session.album.size(i)
            return self._learner.mask(fit, found, size), found.uncertainty

        return propose

    def _examples(self) -> Sequence[Example]:
        """Photos on which something is known, the last ones touched."""
        with self._session.lock:
            album, state = self._session.album, self._session.state
            known = sorted(
                (photo.changed, album.place(key))
                for key, photo in state.photos.items()
                if photo.items or photo.settled
            )
        found = []
        for changed, i in known[-MOST_EXAMPLES:]:
            if i >= 0:
                with contextlib.suppress(UserError):  # its photo is gone
                    truth = self._truth(i, changed)
                    if truth is not None and self._looks(i):
                        found.append(Example(i, truth))
        return found

    def _truth(self, i: int, changed: int) -> np.ndarray | None:
        if self._truths.get(i, (-1,))[0] != changed:
            size = self._looks.small(i)
            self._truths[i] = changed, composing.truth(self._session, i, size)
            if len(self._truths) > 2 * MOST_EXAMPLES:
                self._truths.pop(next(iter(self._truths)))
        return self._truths[i][1]

    def _propose(self, i: int) -> None:
        with self._session.lock:
            if self._session.state.photo(self._session.album.keys[i]).settled:
                return
        try:
            mask, uncertainty = self._proposer(i)
        except UserError as error:
            if self._session.album.is_there(i):
                self._session.say(str(error))
            return
        self._session.propose(i, mask, uncertainty, after=self._after)
