"""What an evaluation says: numbers for metrics.json and the report, text for people."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ppcjax.evaluate.masks.evaluation import Evaluation, Run, sweep_with


def summarize(
    run: Run,
    found: Evaluation,
    *,
    split: str,
    exported: Mapping[str, Any],
    chosen: Mapping[str, Any] | None = None,
    skipped: Mapping[str, str] | None = None,
    stages: str = "",
    arg_max: bool = False,
) -> dict[str, Any]:
    """What metrics.json holds; class IoU is in the order of "classes".

    Where a data set has no background, "background" is false, and there is the fixed
    threshold alone: the arg-max over all classes.

    Args:
        run: what was evaluated.
        found: with what result.
        split: on what.
        exported: "name" and "threshold" of the masks that were written.
        chosen: see `compare_thresholds`.
        skipped: id -> reason of images that were left out.
        stages: what followed the network, in words.
        arg_max: whether scores are of probabilities, so that 0.5 is the arg-max.
    """
    result = found.result
    table = compare_thresholds(
        result, threshold=run.threshold, chosen=chosen, arg_max=arg_max
    )
    if not run.has_background:  # no threshold sets any class apart
        table |= {"chosen": None, "oracle": None}
    curve = None
    if result is not None and run.has_background:
        curve = {
            "threshold": list(sweep_with(run.threshold)),
            "mean_iou": result["mean_iou"],
        }
    return as_json(
        {
            "config": run.config["name"],
            "method": run.config["method"]["name"],
            "step": run.step,
            "split": split,
            "stages": stages,
            "arg_max": arg_max,
            "background": run.has_background,
            "images": found.images,
            "images_with_masks": found.masked,
            "skipped": dict(skipped or {}),
            "classes": list(run.classes),
            "report_classes": list(run.metric.get("report_classes", ())),
            "exported": dict(exported),
            "thresholds": table,
            "curve": curve,
        }
    )


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
    background = summary["background"]
    written = (
        f"masks written at t = {threshold_text(exported['threshold'])} "
        f"({exported['name']})"
    )
    lines = [
        f"{summary['config']} at step {summary['step']} on {summary['split']}: "
        f"{summary['images']} images, {masked} with masks",
        *([f"after the network: {summary['stages']}"] if summary["stages"] else []),
        *(f"skipped: {reason}" for reason in summary["skipped"].values()),
        *([written] if background else []),
    ]
    if not masked:
        return "\n".join([*lines, "no masks, so nothing is scored"])
    rows = {k: row for k, row in summary["thresholds"].items() if row is not None}
    classes = summary["classes"]
    width = max(map(len, classes)) + 2
    if background:
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
