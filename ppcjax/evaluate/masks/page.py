"""The sections of report.html, each as HTML text; empty where there is nothing."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from ppcjax.evaluate.masks.summary import explain, nearest, threshold_text
from ppcjax.report.page import section
from ppcjax.report.palette import class_colours
from ppcjax.report.plots import line_plot, marker
from ppcjax.report.text import percent
from ppcjax.types import IGNORE

_TITLES = {"fixed": "Fixed", "chosen": "Chosen", "oracle": "Oracle"}


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


def headline(summary: Mapping[str, Any]) -> str:
    """The mean IoU at the three thresholds."""
    exported = summary["exported"]
    note = f"Exported masks: {_at(exported)} ({exported['name']})."
    note = note if summary["background"] else ""
    if not summary["images_with_masks"]:
        return section(
            "Masks", f"<p>No image has a mask, so nothing is scored. {note}</p>"
        )
    if summary.get("undefined"):
        reason = escape(summary["undefined"])
        return section("Masks", f"<p>Not scored: {reason}. {note}</p>")
    over = summary["report_classes"] or summary["classes"]
    title = f"Mean IoU over {len(over)} classes"
    mean_over = f"The mean is over {', '.join(map(escape, over))}."
    if not summary["background"]:
        mean = percent(summary["thresholds"]["fixed"]["mean_iou"])
        return section(
            title,
            f"<div class='cards'><div class='card'><div class='value'>{mean}</div><p>"
            "each pixel has its most probable class</p></div></div>"
            f"<p class='note'>{mean_over}</p>",
        )
    cards = (_card(name, summary["thresholds"][name]) for name in _TITLES)
    rule = "A pixel is foreground where its best class score exceeds a threshold t. "
    if summary["arg_max"]:
        rule += "Scores weigh a class against the background: 0.50 is the arg-max. "
    return section(
        title,
        f"<p>{rule}The same scores at three thresholds, which differ in what they were "
        f"allowed to look at:</p><div class='cards'>{''.join(cards)}</div>"
        f"<p class='note'>{mean_over} {note}</p>",
    )


def _at(row: Mapping[str, Any]) -> str:
    return f"t = {threshold_text(row['threshold'])}"


def _card(name: str, row: Mapping[str, Any] | None) -> str:
    title = f"{marker(name)}{_TITLES[name]}"
    if row is None:
        return (
            f"<div class='card absent'><h3>{title}</h3><div class='value'>not set</div>"
            "<p>needs a validation split other than this one, with masks</p></div>"
        )
    return (
        f"<div class='card'><h3>{title}<span>{_at(row)}</span></h3>"
        f"<div class='value'>{percent(row['mean_iou'])}</div>"
        f"<p>{escape(explain(name, row))}</p></div>"
    )


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
    keys = "".join(
        f"<li>{marker(name)} {_TITLES[name]}: {_at(row)}, "
        f"{percent(row['mean_iou'])}</li>"
        for name, row in rows.items()
    )
    return section(
        "Mean IoU over the threshold",
        f"<div class='curve'>{plot}<ul class='legend'>{keys}"
        "<li>The dashed line follows the slider below.</li></ul></div>",
    )


def class_table(summary: Mapping[str, Any]) -> str:
    """IoU of every class at the three thresholds, with bars."""
    if not summary["images_with_masks"]:
        return ""
    rows = {k: row for k, row in summary["thresholds"].items() if row is not None}
    titles = ["IoU"]
    if summary["background"]:
        titles = [f"{marker(k)}{_TITLES[k]} {_at(row)}" for k, row in rows.items()]
    head = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    colours = class_colours(background=summary["background"])
    means = {name: row["mean_iou"] for name, row in rows.items()}
    body = [_class_row("mean", "Mean", means)]
    reported = summary["report_classes"] or summary["classes"]
    for c, class_name in enumerate(summary["classes"]):
        kind = "" if class_name in reported else "outside"
        values = {name: row["class_iou"][c] for name, row in rows.items()}
        body.append(
            _class_row(kind, f"{_chip(colours[c])}{escape(class_name)}", values)
        )
    undefined = any(v is None for row in rows.values() for v in row["class_iou"])
    note = ""
    if undefined:
        note = "A dash: neither in the masks nor predicted; no mean counts the class."
    if summary["report_classes"]:
        note += " Grey names are not in the mean."
    return section(
        "IoU of each class",
        f"<table><thead><tr><th scope='col'>Class</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
        f"<p class='note'>{note}</p>",
    )


def _class_row(kind: str, title: str, values: Mapping[str, float | None]) -> str:
    cells = "".join(
        "<td>–</td>"
        if v is None
        else f"<td><div class='cell'><b>{percent(v)}</b><span class='bar {name}'>"
        f"<i style='width:{100 * v:.1f}%'></i></span></div></td>"
        for name, v in values.items()
    )
    return f"<tr class='{kind}'><th scope='row'>{title}</th>{cells}</tr>"


def gallery(
    summary: Mapping[str, Any], tiles: Sequence[Any], thresholds: Sequence[float]
) -> str:
    """Photos, scores, masks and truth, and the slider that redraws the masks."""
    if not tiles:
        return ""
    background = summary["background"]
    colours = class_colours(background=background)
    shown = {0}.union(*(_classes_of(tile) for tile in tiles))
    if background:
        shown.remove(0)
    legend = "".join(
        f"<li>{_chip(colours[c])}{escape(summary['classes'][c])}</li>"
        for c in sorted(shown)
    )
    if any(tile.has_truth and (tile.planes[3] == IGNORE).any() for tile in tiles):
        legend += f"<li>{_chip(colours[IGNORE])}void, counts nowhere</li>"
    control = note = ""
    if background:
        legend += "<li>score 0<span class='heat'></span>1</li>"
        control = _control(summary, thresholds)
        note = " The slider redraws every predicted mask."
    count = f"{len(tiles)} of {summary['images']} images, evenly spaced over the split"
    if len(tiles) == summary["images"]:
        count = "All images"
    items = (_tile(i, tile, summary) for i, tile in enumerate(tiles))
    return section(
        "Images",
        f"<p class='note'>{count}.{note}</p>{control}<ul class='legend'>{legend}</ul>"
        "<noscript><p>Masks and scores are drawn by JavaScript, which is off.</p>"
        f"</noscript>{''.join(items)}",
    )


def _classes_of(tile) -> set[int]:
    truth = np.unique(tile.planes[3]).tolist() if tile.has_truth else []
    return {c for c in (*tile.tags, *truth) if c != IGNORE}


def _control(summary: Mapping[str, Any], thresholds: Sequence[float]) -> str:
    places = {
        name: nearest(thresholds, row["threshold"])
        for name, row in summary["thresholds"].items()
        if row is not None
    }
    buttons = "".join(
        f"<button type='button' data-position='{place}'>{_TITLES[name]}</button>"
        for name, place in places.items()
    )
    start = nearest(thresholds, summary["exported"]["threshold"])
    return (
        "<div class='control'><label for='threshold'>Threshold</label>"
        f"<input id='threshold' type='range' min='0' max='{len(thresholds) - 1}' "
        f"step='1' value='{start}' autocomplete='off'>"
        "<output id='threshold-value' for='threshold'></output>"
        f"<span class='jump'>{buttons}</span></div>"
    )


def _tile(index: int, tile, summary: Mapping[str, Any]) -> str:
    name, classes = escape(tile.id), summary["classes"]
    heading, alt = name, f"Photo {name}"
    if summary["background"]:  # else nobody tags photos
        tags = ", ".join(escape(classes[c]) for c in tile.tags) or "no class"
        source = "tags" if tile.tags_given else "predicted tags"
        heading += f" <span>{source}: {tags}</span>"
        alt += f": {tags}"
    photo = "data:image/jpeg;base64," + base64.b64encode(tile.photo).decode()
    panels = [("photo", "Photo")]
    if summary["background"]:
        panels.append(("scores", "Score of the best class"))
    panels.append(("prediction", "Predicted mask"))
    if tile.has_truth:
        panels.append(("truth", "True mask"))
    height, width = tile.planes.shape[1:]
    figures = []
    for kind, title in panels:
        # The photo is embedded once; the script puts it under the other panels.
        picture = (
            f"<img src='{photo}' alt='{alt}'>"
            if kind == "photo"
            else f"<canvas width='{width}' height='{height}' role='img' "
            f"aria-label='{title} of {name}'></canvas>"
        )
        figures.append(
            f"<figure class='{kind}'><div class='stack' style='aspect-ratio:"
            f"{width}/{height}'>{picture}</div><figcaption>{title}</figcaption></figure>"
        )
    return (
        f"<article class='tile' id='tile-{index}'><h3>{heading}</h3>"
        f"<div class='panels of-{len(panels)}'>{''.join(figures)}</div></article>"
    )


def _chip(colour: Sequence[int]) -> str:
    red, green, blue = colour
    return f"<span class='chip' style='background:rgb({red},{green},{blue})'></span>"
