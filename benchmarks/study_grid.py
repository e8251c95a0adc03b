"""What a row's grid says: words that are chosen on photos which no row reports."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.studies.base import Study

SEED = 100  # no row is reported with it


class Choice(NamedTuple):
    """Words that were chosen, and what was tried.

    words: fill {choice}; "" where a row has no grid.
    tried: scores of all words of the grid.
    """

    words: str
    tried: Mapping[str, float]


def chooser(study: Study, name: str) -> str:
    """Row whose grid says what fills {choice} of a row; "" where none does."""
    row = study.rows[name]
    return row.like or (name if row.grid else "")


def choose(
    study: Study, name: str, score: Callable[[str, str], Mapping[str, float]]
) -> Choice:
    """Tries all words of a row's grid with one seed.

    Args:
        study: which has the row.
        name: row with a grid.
        score: trains by words, under a name of its own, and returns scores.
    """
    grid = study.rows[name].grid
    tried = {
        words: best(score(words, f"{name}-grid{i}")) for i, words in enumerate(grid)
    }
    return Choice(max(tried, key=tried.get), tried)


def best(scores: Mapping[str, float]) -> float:
    """The score of which a grid takes the highest: by the best threshold, or first."""
    for kind in ("chosen", "oracle"):
        if kind in scores:
            return scores[kind]
    return next(iter(scores.values()))
