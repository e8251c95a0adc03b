"""The threshold that a validation split chooses, and its record in the run."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax import data_pipelines
from ppcjax.console.loops import show_progress
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.subset import part
from ppcjax.evaluate.masks.metric import SWEEP, make_metric, sweep_with
from ppcjax.evaluate.masks.settings import MapSettings, Scoring
from ppcjax.evaluate.protocol import added
from ppcjax.predict.photos import predict_photos
from ppcjax.predict.prediction import Prediction
from ppcjax.runs import Run
from ppcjax.runs.checked import read_json
from ppcjax.runs.files import note_json
from ppcjax.runs.single import check_file
from ppcjax.types import UserError


def choose_threshold(
    run: Run,
    settings: MapSettings,
    fixed: float,
    data: dict[str, Any],
    split: str,
    *,
    limit: int | None = None,
) -> dict[str, Any] | None:
    """The threshold that is best on the validation split, which is scored for it.

    It is recorded in RUN/threshold.json, if that folder takes it, for predictions of
    the network itself: not where pixels are refined, whose scores have another range.

    Args:
        run: network that gives activation maps.
        settings: how photos are predicted and scored.
        fixed: threshold that is compared beside the usual ones.
        data: config.data.
        split: name of what is to be evaluated.
        limit: largest number of photos; then nothing is recorded. None: all.

    Returns:
        "threshold", "split" and "images"; None, with the reason printed, where there
        is no validation split, it has no masks, or it is the split to evaluate.
    """
    name = data.get("val_split")
    if not name or name == split:
        reason = (
            "it is the split evaluated" if name else "config.data.val_split is none"
        )
        return _none(reason)
    try:
        source = data_pipelines.make_source(
            data, name, classes=run.classes, evaluation=True, lists=run.lists
        )
    except UserError as error:
        return _none(str(error))
    source = part(source, limit)
    if not has_masks(source):
        return _none(f"{name} has no masks")
    examples = data_pipelines.make_eval(data, source)
    found = predict_photos(
        run,
        examples,
        {"scaling": settings.scaling, "convention": settings.convention},
    )
    found = settings.output.before_crf(found)
    chosen = best_threshold(found, source, name, settings.scoring, sweep_with(fixed))
    if chosen is None:
        return _none(f"the masks of {name} show no class but the background")
    if limit is None and not settings.output.pixel_refine:
        check_file(run.folder / "threshold.json", _is_ours)
        note_json(run.folder / "threshold.json", chosen | {"step": run.step})
    return chosen


def best_threshold(
    found: Iterable[Prediction],
    source: Source,
    split: str,
    scoring: Scoring,
    thresholds: Sequence[float] = SWEEP,
) -> dict[str, Any] | None:
    """The threshold at which the scores of a split are best.

    Args:
        found: predictions of its photos.
        source: these photos.
        split: their name.
        scoring: over which classes.
        thresholds: ascending, those that are tried.

    Returns:
        "threshold", "split" and "images"; None where the masks show no class.
    """
    metric = make_metric(
        source.classes,
        thresholds,
        report_classes=scoring.report_classes,
        absent=scoring.absent,
    )
    counts: dict[str, Any] = {}
    shown = show_progress(
        found,
        len(source),
        f"choosing a threshold on {split}",
        unit="photos",
        compiles="the network",
    )
    for prediction in shown:
        if prediction.example.mask is not None:
            counted = metric.count({"scores": prediction.scores}, prediction.example)
            counts = added(counts, counted)
    result = metric.summarize(counts) if counts else None
    if result is None or not np.isfinite(result["mean_iou"]).any():
        return None
    best = float(result["thresholds"][result["best"]])
    images = result["images"]
    return {"threshold": round(best, 6), "split": split, "images": images}


def _is_ours(file: Path) -> bool:
    return {"threshold", "step"} <= read_json(file).keys()


def has_masks(source: Source) -> bool:
    """Whether any photo has one; only masks are looked at, and up to the first."""
    for index in range(len(source)):
        try:
            if source.record(index).mask() is not None:
                return True
        except UserError:  # there is one, and what is wrong is said when it is needed
            return True
    return False


def _none(reason: str) -> None:
    print(f"no threshold is chosen on a validation split: {reason}")
