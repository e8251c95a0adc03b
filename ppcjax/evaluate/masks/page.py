"""The sections of report.html that say numbers; empty where there is nothing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ppcjax.evaluate.masks.summary import explain, threshold_text
from ppcjax.report.html import render
from ppcjax.report.palette import class_colours
from ppcjax.report.plots import line_plot, marker
from ppcjax.report.text import percent

_RULE = "A pixel is foreground where its best class score exceeds a threshold t."
_ARG_MAX = "Scores weigh a class against the background: 0.50 is the arg-max."
_THREE = (
    "The same scores at three thresholds, which differ in what they were allowed to "
    "look at:"
)
TITLES = {"fixed": "Fixed", "chosen": "Chosen", "oracle": "Oracle"}


def lead(summary: Mapping[str, Any]) -> str:
    """What was evaluated, in a line of plain text."""
    images, masked = summary["images"], summary["images_with_masks"]
    masks = "all with masks" if masked == images else f"{masked} with masks"
    masks = masks if masked else "none with a mask"
    stages = f" After the network: {summary['stages']}." if summary["stages"] else ""
    return (
        f"Method {summary['method']}, step {summary['step']}. "
        f"Split {summary['split']}: {images} images, {masks}.{stages}"
    )


def is_swept(summary: Mapping[str, Any]) -> bool:
    """Whether scores and masks at other thresholds are known."""
    return summary["background"] and not summary["unswept"]


def headline(summary: Mapping[str, Any]) -> str:
    """The mean IoU at the three thresholds, or of the one mask that there is."""
    title, text, cards, note = "Masks", "", [], _written(summary)
    over = summary["report_classes"] or summary["classes"]
    if not summary["images_with_masks"]:
        text, note = _joined("No image has a mask, so nothing is scored.", note), ""
    elif summary.get("undefined"):
        text, note = _joined(f"Not scored: {summary['undefined']}.", note), ""
    else:
        title = f"Mean IoU over {len(over)} classes"
        note = _joined(f"The mean is over {', '.join(over)}.", note)
        cards = [_single(summary)]
        if is_swept(summary):
            text = _joined(_RULE, _ARG_MAX if summary["arg_max"] else "", _THREE)
            cards = [_card(name, summary["thresholds"][name]) for name in TITLES]
    shown = {"title": title, "text": text, "cards": cards, "note": note}
    return render("masks/headline.html", **shown)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _written(summary: Mapping[str, Any]) -> str:
    """Which masks are written, and why no other ones are shown."""
    if is_swept(summary):
        exported = summary["exported"]
        return f"Exported masks: {_at(exported)} ({exported['name']})."
    reason = summary["unswept"]
    return reason and f"There is one mask of each image: {reason}."


def _at(row: Mapping[str, Any]) -> str:
    return f"t = {threshold_text(row['threshold'])}"


def _single(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "value": percent(summary["thresholds"]["fixed"]["mean_iou"]),
        "text": "each pixel has its most probable class",
    }


def _card(name: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    card = {"title": TITLES[name], "marker": marker(name)}
    if row is None:
        text = "needs a validation split other than this one, with masks"
        return card | {"absent": True, "value": "not set", "text": text}
    return card | {
        "at": _at(row),
        "value": percent(row["mean_iou"]),
        "text": explain(name, row),
    }


def curve(summary: Mapping[str, Any]) -> str:
    """Mean IoU over the threshold, with the three thresholds marked."""
    if summary["curve"] is None:
        return ""
    thresholds, means = summary["curve"]["threshold"], summary["curve"]["mean_iou"]
    rows = {k: row for k, row in summary["thresholds"].items() if row is not None}
    plot = line_plot(
        thresholds,
        [("main", [math.nan if m is None else 100 * m for m in means])],
        title="Mean IoU over the background threshold",
        x_label="background threshold t",
        y_label="mean IoU, %",
        markers=[
            (name, row["threshold"], 100 * row["mean_iou"])
            for name, row in rows.items()
            if row["mean_iou"] is not None
        ],
        zero=True,
    )
    keys = [
        {
            "marker": marker(name),
            "text": f"{TITLES[name]}: {_at(row)}, {percent(row['mean_iou'])}",
        }
        for name, row in rows.items()
    ]
    return render(
        "masks/curve.html",
        plot=plot,
        keys=keys,
        note="The dashed line follows the slider below.",
    )


def class_table(summary: Mapping[str, Any]) -> str:
    """IoU of every class at the thresholds, with bars."""
    if not summary["images_with_masks"]:
        return ""
    rows = {k: row for k, row in summary["thresholds"].items() if row is not None}
    columns = [{"title": "IoU", "at": "", "marker": ""}]
    if is_swept(summary):
        columns = [
            {"title": TITLES[k], "at": _at(row), "marker": marker(k)}
            for k, row in rows.items()
        ]
    reported = summary["report_classes"] or summary["classes"]
    chips = class_chips(summary)
    means = {name: row["mean_iou"] for name, row in rows.items()}
    body = [{"kind": "mean", "chip": "", "name": "Mean", "cells": _cells(means)}]
    for c, name in enumerate(summary["classes"]):
        values = {k: row["class_iou"][c] for k, row in rows.items()}
        kind = "" if name in reported else "outside"
        cells = _cells(values)
        body.append({"kind": kind, "chip": chips[c], "name": name, "cells": cells})
    notes = []
    if any(v is None for row in rows.values() for v in row["class_iou"]):
        notes.append(
            "A dash: neither in the masks nor predicted; no mean counts the class."
        )
    if summary["report_classes"]:
        notes.append("Grey names are not in the mean.")
    return render(
        "masks/classes.html", columns=columns, rows=body, note=_joined(*notes)
    )


def _cells(values: Mapping[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"kind": name, "share": share, "text": percent(share)}
        for name, share in values.items()
    ]


def class_chips(summary: Mapping[str, Any]) -> list[Markup]:
    """A square of each class's colour, by class id; that of IGNORE comes last."""
    return [chip(c) for c in class_colours(background=summary["background"])]


def chip(colour: Sequence[int]) -> Markup:
    """A square of a colour, for a legend."""
    return render("masks/chip.html", colour=[int(value) for value in colour])
