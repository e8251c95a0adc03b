"""report.html of a few-shot evaluation: scores, choice of the checkpoint, queries."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.evaluate.episodes.choice import describe
from ppcjax.evaluate.masks import page
from ppcjax.evaluate.masks.gallery import read_losses, write_page
from ppcjax.evaluate.masks.summary import percent


class Picture(NamedTuple):
    """A query of the gallery.

    shot: supports of each class.
    classes: names of the ways.
    iou: mean over the ways in this query alone, 0..1; None where nothing is to score.
    jpeg: support, truth and what was found, side by side.
    """

    shot: int
    classes: tuple[str, ...]
    iou: float | None
    jpeg: bytes


def write_report(
    path: Path, found: Mapping[str, Any], pictures: Sequence[Picture], run: Path
) -> None:
    """Writes the page.

    Args:
        path: the .html file.
        found: what metrics.json holds.
        pictures: the gallery.
        run: folder whose losses are drawn.
    """
    protocol = found["protocol"]
    seeds = len(protocol["seeds"])
    write_page(
        path,
        title=f"{run.name}: {protocol['way']}-way episodes on {protocol['split']}",
        lead=(
            f"Step {found['step']}. Protocol {protocol['name']}: "
            f"{protocol['episodes']} episodes x {seeds} seed{'s' * (seeds > 1)} of "
            f"{', '.join(protocol['classes'])}; photos {protocol['fit']} to "
            f"{protocol['size']} pixels, scored at {protocol['score']} size."
        ),
        sections=[
            _headline(found),
            _table(found["shots"]),
            _choice(found["choice"]),
            _gallery(pictures),
            page.losses(read_losses(run / "metrics.jsonl")),
        ],
    )


def _headline(found: Mapping[str, Any]) -> str:
    cards = "".join(
        f"<div class='card'><h3>{shot}-shot</h3>"
        f"<div class='value'>{percent(scores['mean_iou']['mean'])}</div>"
        f"<p>{_spread(scores['mean_iou'])}<br>FB-IoU "
        f"{percent(scores['fb_iou']['mean'])} ({_spread(scores['fb_iou'])})</p></div>"
        for shot, scores in found["shots"].items()
    )
    return page.section(
        "Mean IoU",
        "<p>Pixels are counted over all episodes of a seed; the mean is over classes, "
        "its spread over seeds. FB-IoU takes all classes together against the "
        f"background.</p><div class='cards'>{cards}</div>",
    )


def _spread(score: Mapping[str, Any]) -> str:
    text = f"s.d. {percent(score['std'])}"
    if score["interval"] is not None:
        text += f", 95 % interval +-{percent(score['interval'])}"
    return text


def _table(shots: Mapping[int, Any]) -> str:
    head = "".join(f"<th scope='col'>{shot}-shot</th>" for shot in shots)
    first = next(iter(shots.values()))
    rows = []
    for name in first["class_iou"]:
        cells = "".join(
            _cell(scores["class_iou"][name]["mean"]) for scores in shots.values()
        )
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    return page.section(
        "IoU of each class",
        f"<table><thead><tr><th scope='col'>Class</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>",
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "<td>–</td>"
    return (
        f"<td><div class='cell'><b>{percent(value)}</b><span class='bar fixed'>"
        f"<i style='width:{100 * value:.1f}%'></i></span></div></td>"
    )


def _choice(choice: Mapping[str, Any] | None) -> str:
    if choice is None:
        return ""
    text = describe(choice)
    return page.section(
        "Which checkpoint", f"<p>{escape(text[:1].upper() + text[1:])}.</p>"
    )


def _gallery(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = []
    for picture in pictures:
        names = escape(", ".join(picture.classes))
        score = "nothing to score" if picture.iou is None else percent(picture.iou)
        source = "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()
        figures.append(
            f"<figure><img src='{source}' alt='{names}: support, truth, found' "
            f"loading='lazy'><figcaption>{picture.shot}-shot, {names}: {score}"
            "</figcaption></figure>"
        )
    return page.section(
        "Queries",
        "<p class='note'>Left: the first support and its mask. Middle: the query and "
        "the truth. Right: what was found, and its IoU in this query alone.</p>"
        f"<div class='episodes'>{''.join(figures)}</div>",
    )
