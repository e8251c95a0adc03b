"""The thread that looks at photos, learns and proposes, one small piece at a time.

What is most wanted comes first: files of masks, the proposal of the photo in view,
those of all others, and then the features of photos, in the order in which they were
looked at.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ppcjax.console import screen
from ppcjax.data_pipelines import images
from ppcjax.label import composing, view
from ppcjax.label.learning import ONE_CLASS, Learner
from ppcjax.label.looks import Looks
from ppcjax.label.session import Session
from ppcjax.label.study import Study
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
        self._after = self._made = 0
        self._total = 0
        self._viewed: deque[int] = deque(maxlen=64)
        self._unseen = deque(range(len(session.album)))
        self._unreadable: set[int] = set()
        self._study: Study | None = None
        self._fitting = False
        self._told: set[str] = set()  # lines of the request that is worked on
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
            if learns and view.needs(self._session) == "background":
                raise UserError(ONE_CLASS)
        with self._wake:
            self._asked, self._by = i, by
            self._wake.notify_all()
        self._session.changed()

    def use(self, proposer: Proposer | None) -> None:
        """Has a trained network propose from now on; None: the examples do again."""
        with self._wake:
            self._trained = proposer

    def progress(self) -> dict[str, Any]:
        """How many photos of how many are looked at, learnt from and proposed for.

        And "asked", whether proposals are asked for of which the first is to come.
        """
        count = len(self._session.album) - len(self._unreadable)
        seen = self._looks.done if self._looks else 0
        with self._wake:
            left = len(self._queue) + (self._asked is not None)
            return {
                "features": [seen, count],
                "examples": [*self._study.progress] if self._study else [0, 0],
                "asked": self._asked is not None or self._fitting,
                "proposals": [max(self._total - left, 0), self._total],
            }

    # ---- the thread
    def run(self) -> None:
        """Works."""
        while (job := self._next()) is not None:
            try:
                job()
            except UserError as error:
                self._session.say(str(error), again=True)
            except Exception as error:  # what libraries raise must not end proposals
                screen.line(traceback.format_exc())
                said = f"a piece of work failed: {type(error).__name__}"
                self._session.say(said, again=True)
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
            return self._fit_and_order
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
        self._study = Study(self._session, self._looks, self._learner)

    def _see(self, i: int) -> None:
        try:
            self._looks(i)
            self._study.learn(i)
        except UserError as error:
            self._unreadable.add(i)
            self._pass_over(i, error)

    def _pass_over(self, i: int, error: UserError) -> None:
        """Says once why a photo gets no proposal."""
        if self._session.album.is_there(i):
            self._session.say(images.why_left_out(error))

    def _fit_and_order(self) -> None:
        try:
            self._fit()
        finally:
            self._fitting = False

    def _fit(self) -> None:
        with self._wake:
            first, self._asked, self._fitting = self._asked, None, True
            trained = None if self._by == "examples" else self._trained
            self._queue.clear()
            self._total = 0
        self._told, self._made = set(), 0
        with self._session.lock:
            self._after = self._session.state.n
            chosen = self._open_photos(first)
        self._proposer = trained or self._of_examples()
        if not chosen:
            self._tell("all photos are decided: reopen one that is to be proposed anew")
        with self._wake:
            self._queue, self._total = deque(chosen), len(chosen)

    def _tell(self, line: str) -> None:
        """Says a line, once for each request."""
        if line not in self._told:
            self._told.add(line)
            self._session.say(line, again=True)

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
        self._study.update(lambda: self._stopped)
        fit = self._learner.fit()
        if fit.left_out:
            self._tell(
                "this method learns from the last photos of each class alone; "
                "--config=panet_dino:ridge learns from all"
            )

        def propose(i):
            found = self._learner.scores(fit, self._looks(i))
            size = self._session.album.size(i)
            return self._learner.mask(fit, found, size), found.uncertainty

        return propose

    def _propose(self, i: int) -> None:
        with self._session.lock:
            if self._session.state.photo(self._session.album.keys[i]).settled:
                return
        try:
            mask, uncertainty = self._proposer(i)
        except UserError as error:
            self._pass_over(i, error)
            if not self._queue and not self._made:  # of all photos
                self._tell(images.why_left_out(error))
            return
        self._session.propose(i, mask, uncertainty, after=self._after)
        self._made += 1
