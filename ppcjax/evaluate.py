"""Evaluation: examples -> scores -> counts, and the three thresholds side by side."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ppcjax import tta
from ppcjax.metrics import SWEEP, add_counts, mean_iou_sweep
from ppcjax.progress import show_progress
from ppcjax.types import Method, Metric, UserError


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
    method: Method,
    params: Any,
    model_state: Any,
    examples: Iterable[Any],
    *,
    metric: Metric,
    uses: Sequence[Callable[[tta.Prediction], None]] = (),
    total: int | None = None,
    name: str = "evaluation",
    **settings: Any,
) -> Evaluation:
    """Predicts every example, counts those that have masks, and hands each on.

    Args:
        method: whose scores to evaluate.
        params: its parameters.
        model_state: its state.
        examples: each with `id`, `image`, `tags` or None, and `mask` or None.
        metric: counts predictions against masks.
        uses: called with each prediction, such as a writer of files.
        total: number of examples, for the progress display.
        name: what is evaluated, for the progress display.
        settings: of `tta.predict`.

    Returns:
        Counts and the metric's summary.
    """
    counts, images = None, 0
    predictions = tta.predict(method, params, model_state, examples, **settings)
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
    *,
    thresholds: Sequence[float] = SWEEP,
    report_classes: Sequence[str] = (),
    absent: str = "skip",
) -> Metric:
    """Mean IoU over classes that are given by name.

    Args:
        classes: names, background first.
        thresholds: see `mean_iou_sweep`.
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


def compare_thresholds(
    result: dict[str, Any] | None,
    *,
    threshold: float,
    chosen: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The same scores at three thresholds that are easily mistaken for one another.

    Args:
        result: summary of the split in question; None where it has no masks.
        threshold: set before any mask was looked at.
        chosen: "threshold", "split" and "images" of the validation split on which
            that threshold was best; None where there is none.

    Returns:
        "fixed", "chosen" and "oracle" (best on the very masks of `result`), each
        None or a dict of "threshold" and, where there are masks, "mean_iou" and
        "class_iou" [C]; "chosen" keeps its split and image count.
    """
    table = {"fixed": {"threshold": threshold}, "chosen": None, "oracle": None}
    if chosen is not None:
        table["chosen"] = dict(chosen)
    if result is not None:
        best = result["thresholds"][result["best"]]
        table["oracle"] = {"threshold": round(float(best), 6)}
        for row in filter(None, table.values()):
            row |= at_threshold(result, row["threshold"])
    return table


def at_threshold(result: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Mean IoU and class IoU [C] of a summary at one of its thresholds."""
    index = int(np.argmin(np.abs(result["thresholds"] - np.float32(threshold))))
    return {
        "mean_iou": float(result["mean_iou"][index]),
        "class_iou": result["class_iou"][index].tolist(),
    }


def explain(name: str, row: dict[str, Any]) -> str:
    """How a threshold of `compare_thresholds` was set, in a few words."""
    return {
        "fixed": "set before looking at any mask",
        "chosen": f"best on the validation split {row.get('split')} "
        f"({row.get('images')} images)",
        "oracle": "best on these very masks: an upper bound, not a result",
    }[name]


def format_thresholds(
    table: dict[str, Any], classes: Sequence[str], report_classes: Sequence[str] = ()
) -> str:
    """`compare_thresholds` as text: a line each, then the IoU of every class."""
    lines = [f"{'threshold':<10}{'t':>6}{'mean IoU':>10}"]
    rows = {name: row for name, row in table.items() if row is not None}
    for name, row in rows.items():
        mean = percent(row.get("mean_iou"))
        how = explain(name, row)
        lines.append(
            f"{name:<10}{threshold_text(row['threshold']):>6}{mean:>10}  {how}"
        )
    if table["oracle"] is None:
        return "\n".join([*lines, "no masks, so nothing is scored"])
    width = max(map(len, classes)) + 2
    lines += ["", "IoU".ljust(width) + "".join(f"{name:>9}" for name in rows)]
    for c, name in enumerate(classes):
        if name in (report_classes or classes):
            cells = (percent(row["class_iou"][c]) for row in rows.values())
            lines.append(name.ljust(width) + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def percent(share: float | None) -> str:
    """A share in 0..1 as text; "-" where it is undefined."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def threshold_text(threshold: float) -> str:
    """A threshold as text: two decimals, or as many as it needs up to four."""
    return max(f"{threshold:.2f}", f"{round(threshold, 4):g}", key=len)


def as_json(value: Any) -> Any:
    """Arrays as lists, NumPy numbers as Python's, NaN as None; keys as text."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
