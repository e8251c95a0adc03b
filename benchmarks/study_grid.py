"""What a row's grid says: words that are chosen on photos which no row reports."""

from collections.abc import Mapping

from benchmarks.studies.base import Study

SEED = 100  # no row is reported with it


def chooser(study: Study, name: str) -> str:
    """Row whose grid says what fills {choice} of a row; "" where none does."""
    row = study.rows[name]
    return row.like or (name if row.grid else "")


def best(scores: Mapping[str, float]) -> float:
    """The score of which a grid takes the highest: by the best threshold, or first."""
    for kind in ("chosen", "oracle"):
        if kind in scores:
            return scores[kind]
    return next(iter(scores.values()))
