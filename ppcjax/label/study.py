"""Keeps what is learnt in step with what is known of the photos."""

import contextlib
from collections.abc import Callable

from ppcjax.label import composing
from ppcjax.label.learning import Example, Learner
from ppcjax.label.looks import Looks
from ppcjax.label.session import Session
from ppcjax.label.state import PhotoOf
from ppcjax.types import UserError

_FEW = 8  # examples that are learnt from so soon that nobody need be told


class Study:
    """Gives a learner the photos that have changed; one thread uses it.

    progress: how many photos of how many are learnt from; (0, 0) while none is.
    """

    def __init__(self, session: Session, looks: Looks, learner: Learner):
        """For a session, its looks, and a learner that knows nothing yet."""
        self._session, self._looks, self._learner = session, looks, learner
        self._learnt: dict[int, int] = {}  # photo -> its entry that was learnt last
        self.progress = 0, 0

    def update(self, stopped: Callable[[], bool]) -> None:
        """Has the learner know all that is known, the last photos touched last.

        Args:
            stopped: says whether the work shall be left.
        """
        known = self._known()
        for i in self._learnt.keys() - known.keys():
            del self._learnt[i]
            self._learner.drop(i)
        new = known.items() - self._learnt.items()
        for done, (i, changed) in enumerate(sorted(new, key=lambda one: one[1])):
            if stopped():
                break
            if len(new) > _FEW:
                self.progress = done, len(new)
                self._session.changed()
            self._put(i, changed)
        self.progress = 0, 0

    def learn(self, i: int) -> None:
        """Has the learner know a photo beforehand, where no order matters."""
        with self._session.lock:
            photo = self._session.state.photo(self._session.album.keys[i])
            changed, is_known = photo.changed, _is_known(photo)
        if self._learner.adds_up and is_known and i not in self._learnt:
            self._put(i, changed)

    def _put(self, i: int, changed: int) -> None:
        with contextlib.suppress(UserError):  # its photo is gone
            truth = composing.truth(self._session, i, self._looks.small(i))
            if truth is not None:  # else what was known is taken back meanwhile
                self._learner.put(Example(i, truth))
            self._learnt[i] = changed

    def _known(self) -> dict[int, int]:
        """Photos of which something is known, and their last entries."""
        with self._session.lock:
            place = self._session.album.place
            return {
                place(key): photo.changed
                for key, photo in self._session.state.photos.items()
                if _is_known(photo) and place(key) >= 0
            }


def _is_known(photo: PhotoOf) -> bool:
    """Whether anything is known of a photo for sure."""
    return bool(photo.items or photo.settled)
