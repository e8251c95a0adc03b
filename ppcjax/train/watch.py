"""Scores while training: best checkpoint, early stopping.

Scores travel with the checkpoints, so that a resumed run knows those that were taken
before its checkpoint and no others, and ends like one that was never interrupted.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ppcjax.runs import checkpoint
from ppcjax.train.log import Log
from ppcjax.types import TrainState

Scores = dict[int, dict[str, float]]  # of each step, by name; the first one steers


class Watch(NamedTuple):
    """How a run is scored while it trains.

    score: (params, model_state, step) -> scores by name, higher is better; the first
        one steers.
    every: updates between two scores.
    patience: scores without a better one after which training stops; 0: never.
    keep_best: whether the checkpoint with the best score is kept beside the newest.
    rehearse: (params, model_state) -> what scoring needs most memory for is done once;
        None for nothing.
    """

    score: Callable[[Any, Any, int], dict[str, float]]
    every: int
    patience: int = 0
    keep_best: bool = False
    rehearse: Callable[[Any, Any], None] | None = None


class Watcher:
    """Takes the scores of one run, and keeps its best checkpoint."""

    def __init__(
        self,
        watch: Watch | None,
        scores: Scores,
        logger: Log,
        best: checkpoint.Checkpoints | None,
    ):
        """Goes on with scores that were taken before.

        Args:
            watch: how the run is scored; None: not at all.
            scores: those of the checkpoint that the run goes on from.
            logger: takes the scores and a line on each.
            best: keeps the best checkpoint; None: it is not kept.
        """
        self.scores = scores
        self._watch = watch
        self._logger = logger
        self._best = best

    def rehearse(self, state: TrainState) -> None:
        """Tries the scoring before the first step: what it lacks shows now."""
        if self._watch is not None and self._watch.rehearse is not None:
            self._watch.rehearse(state.params, state.model_state)

    def due(self, step: int) -> bool:
        """Whether the state after update `step` is to be scored."""
        if self._watch is None or step in self.scores:
            return False
        return step > 0 and step % self._watch.every == 0

    def look(
        self,
        state: TrainState,
        step: int,
        within: contextlib.AbstractContextManager | None = None,
    ) -> None:
        """Scores the state after update `step`.

        Args:
            state: what is scored.
            step: its number of updates.
            within: may break the scoring off; then there is no score.
        """
        found = None
        with within or contextlib.nullcontext():
            found = self._watch.score(state.params, state.model_state, step)
        if found is None:
            return
        self.scores[step] = {name: float(value) for name, value in found.items()}
        best = best_step(self.scores)
        name = next(iter(found))
        self._logger.scores(
            step,
            self.scores[step],
            note=f"best {name} {steering(self.scores[best]):.4g} at step {best}",
        )
        if best == step and self._best is not None:
            self._best.save(state, step, scores=as_meta(self.scores))
            self._best.wait()

    @property
    def stops(self) -> bool:
        """Whether the scores have not become better for long enough."""
        return self._watch is not None and stops(self.scores, self._watch.patience)

    def close(self) -> None:
        """Ends the writing of the best checkpoint."""
        if self._best is not None:
            self._best.close()


def stops(scores: Scores, patience: int) -> bool:
    """Whether the last `patience` scores were no better than the best before them."""
    if not patience or not scores:
        return False
    best = best_step(scores)
    return sum(step > best for step in scores) >= patience


def best_step(scores: Scores) -> int:
    """The first step with the highest steering score."""
    return max(sorted(scores), key=lambda step: steering(scores[step]))


def steering(scores: Mapping[str, float]) -> float:
    """The score that steers; one that is undefined is below all others."""
    first = next(iter(scores.values()))
    return -math.inf if math.isnan(first) else first


def as_meta(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Scores as a checkpoint keeps them: JSON types, NaN as None."""
    return {
        str(step): {n: None if math.isnan(v) else v for n, v in found.items()}
        for step, found in scores.items()
    }


def from_meta(meta: Mapping[str, Any] | None) -> Scores:
    """Scores that a checkpoint keeps; none where it keeps none."""
    kept = (meta or {}).get("scores") or {}
    return {
        int(step): {n: math.nan if v is None else v for n, v in found.items()}
        for step, found in kept.items()
    }
