"""What an evaluation says: numbers for metrics.json and the report, text for people."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ppcjax.evaluate.masks.metric import make_metric, sweep_with
from ppcjax.report.text import percent
from ppcjax.types import Metric

_UNDEFINED = (
    "the masks show no class that the mean is taken over but the background, so that "
    "there is no mean IoU"
)


class Scored(NamedTuple):
    """What the scores of an evaluation are of.

    classes: names by class id.
    background: whether class 0 is what the other classes leave.
    threshold: the fixed one, set before any mask was looked at.
    chosen: threshold that a validation split chose, see `compare_thresholds`.
    exported: "name" and "threshold" of the masks that are written.
    report_classes: names that the mean is taken over; empty: all.
    absent: how the mean counts classes that never occur, see `mean_iou_sweep`.
    stages: what followed the network, in words.
    arg_max: whether scores come from probabilities, so that 0.5 is the arg-max.
    unswept: why --threshold makes other masks than these scores above it, so that no
        other threshold is scored or shown; "" where it makes the same.
    """

    classes: tuple[str, ...]
    background: bool
    threshold: float
    chosen: dict[str, Any] | None
    exported: dict[str, Any]
    report_classes: tuple[str, ...] = ()
    absent: str = "skip"
    stages: str = ""
    arg_max: bool = False
    unswept: str = ""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those that are scored, ascending."""
        named = filter(None, (self.chosen, self.exported))
        return sweep_with(self.threshold, *(row["threshold"] for row in named))

    @property
    def swept(self) -> bool:
        """Whether masks and scores at any threshold are those of --threshold."""
        return self.background and not self.unswept

    def metric(self) -> Metric:
        """The mean IoU at all thresholds."""
        return make_metric(
            self.classes,
            self.thresholds,
            report_classes=self.report_classes,
            absent=self.absent,
            background=self.background,
        )


def summarize(counts: Mapping[str, Any], scored: Scored) -> dict[str, Any]:
    """What metrics.json holds behind its head; class IoU is in the order of "classes".

    Where a data set has no background, "background" is false, and there is the fixed
    threshold alone: the arg-max over all classes. So it is where "unswept" says why.

    Args:
        counts: sums over the photos: "predicted", and of `Scored.metric` where photos
            have masks.
        scored: what the scores are of.
    """
    masked = int(counts.get("images", 0))
    result = scored.metric().summarize(counts) if masked else None
    table = compare_thresholds(
        result,
        threshold=scored.threshold,
        chosen=scored.chosen,
        arg_max=scored.arg_max,
    )
    if not scored.swept:
        table |= {"chosen": None, "oracle": None}
    curve, undefined = None, ""
    if result is not None and not np.isfinite(result["mean_iou"]).any():
        undefined = _UNDEFINED
    elif result is not None and scored.swept:
        curve = {
            "threshold": list(scored.thresholds),
            "mean_iou": result["mean_iou"],
        }
    return {
        "stages": scored.stages,
        "arg_max": scored.arg_max,
        "background": scored.background,
        "unswept": scored.unswept,
        "images": int(counts.get("predicted", 0)),
        "images_with_masks": masked,
        "classes": list(scored.classes),
        "report_classes": list(scored.report_classes),
        "exported": dict(scored.exported),
        "thresholds": table,
        "curve": curve,
        "undefined": undefined,
    }


def scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Mean IoU at the best threshold where one is to be chosen, else of the arg-max."""
    table = results["thresholds"]
    by_threshold = results["background"] and not results["arg_max"]
    row = table["oracle" if by_threshold else "fixed"] or {}
    return {"mean_iou": row.get("mean_iou", math.nan)}


def compare_thresholds(
    result: dict[str, Any] | None,
    *,
    threshold: float,
    chosen: Mapping[str, Any] | None = None,
    arg_max: bool = False,
) -> dict[str, Any]:
    """The same scores at three thresholds that are easily mistaken for one another.

    Args:
        result: summary of the split in question; None where it has no masks.
        threshold: set before any mask was looked at.
        chosen: "threshold", "split" and "images" of the validation split on which
            that threshold was best; None where there is none.
        arg_max: whether the scores are of class probabilities.

    Returns:
        "fixed", "chosen" and "oracle" (best on the very masks of `result`), each
        None or a dict of "threshold" and, where there are masks, "mean_iou" and
        "class_iou" [C]; "chosen" keeps its split and image count.
    """
    table = {"fixed": {"threshold": threshold}, "chosen": None, "oracle": None}
    if arg_max and threshold == 0.5:
        table["fixed"]["arg_max"] = True
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
    index = nearest(result["thresholds"], threshold)
    return {
        "mean_iou": float(result["mean_iou"][index]),
        "class_iou": result["class_iou"][index].tolist(),
    }


def nearest(thresholds: Sequence[float], threshold: float) -> int:
    """Index of the nearest of some thresholds."""
    return int(np.argmin(np.abs(np.asarray(thresholds) - np.float32(threshold))))


def explain(name: str, row: dict[str, Any]) -> str:
    """How a threshold of `compare_thresholds` was set, in a few words."""
    return {
        "fixed": "the arg-max of class probabilities"
        if row.get("arg_max")
        else "set before looking at any mask",
        "chosen": f"best on the validation split {row.get('split')} "
        f"({row.get('images')} images)",
        "oracle": "best on these very masks: an upper bound, not a result",
    }[name]


def format_summary(summary: Mapping[str, Any]) -> str:
    """A summary as text: what it is of, a line per threshold, the IoU of each class."""
    masked, exported = summary["images_with_masks"], summary["exported"]
    swept = summary["background"] and not summary["unswept"]
    written = (
        f"masks written at t = {threshold_text(exported['threshold'])} "
        f"({exported['name']})"
    )
    written = written if swept else summary["unswept"]
    lines = [
        f"{summary['config']} at step {summary['step']} on {summary['split']}: "
        f"{summary['images']} images, {masked} with masks",
        *([f"after the network: {summary['stages']}"] if summary["stages"] else []),
        *(f"skipped: {reason}" for reason in summary["skipped"].values()),
        *([written] if written else []),
    ]
    if not masked:
        return "\n".join([*lines, "no masks, so nothing is scored"])
    rows = {k: row for k, row in summary["thresholds"].items() if row is not None}
    if summary.get("undefined"):
        lines += ["", summary["undefined"]]
    classes = summary["classes"]
    width = max(map(len, classes)) + 2
    if swept:
        lines += ["", f"{'threshold':<10}{'t':>6}{'mean IoU':>10}"]
        for name, row in rows.items():
            t, mean = threshold_text(row["threshold"]), percent(row["mean_iou"])
            lines.append(f"{name:<10}{t:>6}{mean:>10}  {explain(name, row)}")
        lines += ["", "IoU".ljust(width) + "".join(f"{name:>9}" for name in rows)]
    else:
        mean = percent(rows["fixed"]["mean_iou"])
        lines += ["", "mean IoU".ljust(width) + f"{mean:>9}", ""]
    for c, name in enumerate(classes):
        if name in (summary["report_classes"] or classes):
            cells = (percent(row["class_iou"][c]) for row in rows.values())
            lines.append(name.ljust(width) + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def threshold_text(threshold: float) -> str:
    """A threshold as text that --threshold reads: two decimals, or as many as it needs.

    No more than six: of float32, the rest is none of the number that was meant.
    """
    return max(f"{threshold:.2f}", f"{round(threshold, 6):.6g}", key=len)
