"""Evaluation: examples -> scores -> counts, and what of a run that needs."""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax import methods
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.evaluate.masks.metric import SWEEP, add_counts, mean_iou_sweep
from ppcjax.predict import tta
from ppcjax.refine.walk import WalkSettings, walk_predictions
from ppcjax.report.progress import show_progress
from ppcjax.runs import checkpoint
from ppcjax.types import Method, Metric, TrainState, UserError


class Evaluation(NamedTuple):
    """What an evaluation found.

    images: how many were predicted.
    masked: how many of them have masks.
    result: the metric's summary; None where no image has a mask.
    """

    images: int
    masked: int
    result: dict[str, Any] | None


def evaluate(
    predictions: Iterable[tta.Prediction],
    *,
    metric: Metric,
    uses: Sequence[Callable[[tta.Prediction], None]] = (),
    total: int | None = None,
    name: str = "evaluation",
) -> Evaluation:
    """Counts the predictions that have masks, and hands each on.

    Args:
        predictions: of examples with `id`, `image`, `tags` or None, `mask` or None.
        metric: counts predictions against masks.
        uses: called with each prediction, such as a writer of files.
        total: number of predictions, for the progress display.
        name: what is evaluated, for the progress display.

    Returns:
        Counts and the metric's summary.
    """
    counts, images = None, 0
    for prediction in show_progress(predictions, total, name):
        images += 1
        if prediction.example.mask is not None:
            found = metric.count({"scores": prediction.scores}, prediction.example)
            counts = add_counts(counts, found)
        for use in uses:
            use(prediction)
    if counts is None:
        return Evaluation(images, 0, None)
    return Evaluation(images, int(counts["images"]), metric.summarize(counts))


def sweep_with(threshold: float) -> tuple[float, ...]:
    """The thresholds of the published sweep and a fixed one, ascending."""
    if not 0 <= threshold < 1:
        raise UserError(f"threshold {threshold}: give a score in [0, 1), such as 0.26")
    return tuple(sorted({*SWEEP, threshold}))


def make_metric(
    classes: Sequence[str],
    thresholds: Sequence[float] = SWEEP,
    *,
    report_classes: Sequence[str] = (),
    absent: str = "skip",
) -> Metric:
    """Mean IoU over classes that are given by name.

    Args:
        classes: names, background first.
        thresholds: ascending.
        report_classes: names that the mean is taken over; empty for all.
        absent: see `mean_iou_sweep`.

    Raises:
        UserError: a name is no class.
    """
    unknown = [name for name in report_classes if name not in classes]
    if unknown:
        raise UserError(
            f"eval.report_classes: there is no class {unknown[0]!r}; the classes are "
            + ", ".join(classes)
        )
    reported = [classes.index(name) for name in report_classes] or None
    return mean_iou_sweep(
        len(classes), thresholds=thresholds, report_classes=reported, absent=absent
    )


class Run(NamedTuple):
    """A restored run, and what its config.eval says, by what it is for."""

    folder: Path
    config: dict[str, Any]
    classes: tuple[str, ...]
    step: int
    predictor: tuple[Method, Any, Any]  # with params and model_state
    kind: str  # of the network's output, see `tta.output_kind`
    threshold: float  # the fixed one
    gallery: int  # images in the report
    metric: dict[str, Any]  # settings of `make_metric`
    tta: dict[str, Any]  # settings of `tta.predict`
    walk: dict[str, Any]  # `WalkSettings`

    @property
    def has_background(self) -> bool:
        """Whether class 0 is what the others leave; of activation maps it always is."""
        return self.kind == "scores" or self.classes[0] == BACKGROUND


def load_run(path: str | Path, *, threshold: float | None = None) -> Run:
    """Restores the newest checkpoint of a run, or the one named.

    Args:
        path: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        threshold: replaces config.eval.threshold.

    Raises:
        UserError: there is no checkpoint, its config has an unknown field, or it has a
            threshold and the classes no background.
    """
    restored = checkpoint.restore(path)
    config, classes = restored.meta["config"], tuple(restored.meta["classes"])
    metric, predictor = _keyword_only(make_metric), _keyword_only(tta.predict)
    method = methods.make(config["method"], len(classes))
    params, model_state = method.keep(restored.params, restored.model_state)
    kind = tta.output_kind(method, params, model_state)
    walk = set()
    if kind == "affinity":
        predictor, walk = _keyword_only(walk_predictions), set(WalkSettings._fields)
    settings = dict(config["eval"])
    unknown = set(settings) - {"threshold", "gallery"} - metric - predictor - walk
    if unknown:
        raise UserError(f"config.eval.{min(unknown)} is not a setting of evaluation")
    # Of probabilities, 0.5 is the arg-max.
    usual = 0.26 if kind == "scores" else 0.5
    run = Run(
        folder=checkpoint.run_folder(path),
        config=config,
        classes=classes,
        step=restored.step,
        predictor=(method, params, model_state),
        kind=kind,
        threshold=settings.get("threshold", usual) if threshold is None else threshold,
        gallery=settings.get("gallery", 24),
        metric={name: settings[name] for name in metric & set(settings)},
        tta={name: settings[name] for name in predictor & set(settings)},
        walk={name: settings[name] for name in walk & set(settings)},
    )
    if not run.has_background and run.threshold != usual:
        raise UserError(
            f"threshold {run.threshold}: the classes of this run have no background "
            "that a threshold could set apart; leave it out"
        )
    return run


def export_run(path: str | Path, folder: str | Path) -> None:
    """Writes a run that can only predict: no optimizer, projection or memory.

    Args:
        path: as of `load_run`.
        folder: of the new run, which `load_run` reads; it must not hold one.

    Raises:
        UserError: there is no checkpoint at `path`, or there is one in `folder`.
    """
    if checkpoint.newest_step(folder) is not None:
        raise UserError(f"{folder} holds a run already; give another folder")
    restored = checkpoint.restore(path)
    config = restored.meta["config"]
    method = methods.make(config["method"], len(restored.meta["classes"]))
    params, model_state = method.keep(restored.params, restored.model_state)
    classes = tuple(restored.meta["classes"])
    saver = checkpoint.Checkpoints(folder, keep=1, config=config, classes=classes)
    step = np.int32(restored.step)
    saver.save(TrainState(step, params, model_state, opt_state={}), restored.step)
    saver.close()


def predict_run(run: Run, examples: Iterable[Any]) -> Iterator[tta.Prediction]:
    """`tta.predict` with the network and the settings of a run."""
    return tta.predict(*run.predictor, examples, **run.tta)


def recorded_threshold(run: Run) -> dict[str, Any] | None:
    """What an evaluation of a split of the same step chose; None before that."""
    file = run.folder / "threshold.json"
    found = json.loads(file.read_text()) if file.is_file() else {}
    return found if found.get("step") == run.step else None


def _keyword_only(function: Callable) -> set[str]:
    parameters = inspect.signature(function).parameters
    return {p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
