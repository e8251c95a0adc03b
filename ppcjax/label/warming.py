"""Programs that the first proposal needs are compiled before anybody asks for one."""

import numpy as np

from ppcjax.label.learning import Example, Learner
from ppcjax.label.looks import Look, Looks
from ppcjax.runs import Run

_CLASSES = (1, 2)  # numbers of classes for which photos are segmented
_SIZE = (2, 2)  # pixels of a photo that is none


class _Blank(Looks):
    """The looks of photos on which there is nothing."""

    def __init__(self, run: Run, width: int):
        super().__init__(run, album=None)
        self._width = width

    def __call__(self, i: int) -> Look:
        return Look(np.zeros((1, 1, self._width), np.float16), _SIZE)


def warm(run: Run) -> bool:
    """Learns from nothing, so that the programs for that are there.

    Args:
        run: a network that learns from examples.

    Returns:
        Whether there was something to do: ridge regressions on a frozen network, whose
        programs do not depend on how many photos are marked.
    """
    width = (run.config["method"].get("backbone_settings") or {}).get("width")
    is_ridge = run.config["method"]["name"] == "ridge"
    if run.method.look is None or not is_ridge or not width:
        return False
    looks = _Blank(run, width)
    learner = Learner(run, looks)
    for count in _CLASSES:
        truth = np.zeros(_SIZE, np.uint8)
        truth[0] = np.arange(1, 3) % (count + 1)
        learner.scores(learner.fit([Example(0, truth)]), looks(0))
    return True
