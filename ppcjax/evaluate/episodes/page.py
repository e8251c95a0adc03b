"""What an evaluation on episodes shows: scores, choice of the checkpoint, queries."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from ppcjax.evaluate.episodes.choice import describe
from ppcjax.evaluate.episodes.metric import class_iou, count_query, mean_defined
from ppcjax.report.html import render
from ppcjax.report.overlay import as_jpeg, draw_mask
from ppcjax.report.page import Page, image, section
from ppcjax.report.text import percent


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


def picture(tested: Any, classes: Sequence[str]) -> Picture:
    """First support with its mask, query with the truth, query as found.

    Args:
        tested: a query, `evaluation.Tested`.
        classes: names of the data's classes, background first.
    """
    ways = tested.example.row.classes
    counts = count_query(
        tested.found, tested.example.truths[tested.query], ways, len(classes)
    )
    iou = mean_defined(class_iou(counts)[ways])
    return Picture(
        tested.shot,
        tuple(classes[c] for c in ways),
        None if np.isnan(iou) else iou,
        _jpeg(tested),
    )


def _jpeg(tested: Any) -> bytes:
    arrays, q = tested.example.arrays, tested.query
    support = draw_mask(
        arrays["support_image"][0, 0],
        np.where(arrays["support_mask"][0, 0] == 1, 1, 0),
    )
    _, _, bottom, right = arrays["query_valid"][q]
    query = arrays["query_image"][q, :bottom, :right]
    gap = np.full((len(support), max(len(support) // 48, 2), 3), 255, np.uint8)
    tiles = [support]
    for mask in (tested.example.truths[q], tested.found):
        # Masks at the photo's own size are shown at the network's.
        small = Image.fromarray(mask.astype(np.uint8)).resize(
            (query.shape[1], query.shape[0]), Image.Resampling.NEAREST
        )
        drawn = draw_mask(query, np.asarray(small))
        tiles += [gap, np.full_like(support, 255)]
        tiles[-1][:bottom, :right] = drawn
    return as_jpeg(np.concatenate(tiles, axis=1))


def page(found: Mapping[str, Any], pictures: Sequence[Picture]) -> Page:
    """What the report shows.

    Args:
        found: what metrics.json holds.
        pictures: the gallery.
    """
    protocol = found["protocol"]
    seeds = len(protocol["seeds"])
    return Page(
        title=f"{found['config']}: {protocol['way']}-way episodes on "
        f"{protocol['split']}",
        lead=(
            f"Step {found['step']}. Protocol {protocol['name']}: "
            f"{protocol['episodes']} episodes x {seeds} seed{'s' * (seeds > 1)} of "
            f"{', '.join(protocol['classes'])}; photos {protocol['fit']} to "
            f"{protocol['size']} pixels, scored at {protocol['score']} size."
        ),
        sections=[
            _headline(found),
            _gallery(pictures),
            _table(found["shots"]),
            _choice(found["choice"]),
        ],
    )


def _headline(found: Mapping[str, Any]) -> Markup:
    content = render(
        "episodes/headline.html",
        shots=found["shots"],
        left_out=found["left_out"],
    )
    return section("Mean IoU", content)


def _table(shots: Mapping[int, Any]) -> Markup:
    names = next(iter(shots.values()))["class_iou"]
    rows = [
        (name, [scores["class_iou"][name]["mean"] for scores in shots.values()])
        for name in names
    ]
    head = ["Class", *(f"{shot}-shot" for shot in shots)]
    content = render("episodes/table.html", head=head, rows=rows)
    return section("IoU of each class", content)


def _choice(choice: Mapping[str, Any] | None) -> Markup | str:
    if choice is None:
        return ""
    text = describe(choice)
    content = render("episodes/choice.html", text=text[:1].upper() + text[1:])
    return section("Which checkpoint", content)


def _gallery(pictures: Sequence[Picture]) -> Markup | str:
    if not pictures:
        return ""
    shown = [
        {
            "shot": picture.shot,
            "names": ", ".join(picture.classes),
            "score": _score(picture.iou),
            "image": image(
                picture.jpeg, f"{', '.join(picture.classes)}: support, truth, found"
            ),
        }
        for picture in pictures
    ]
    by_shot = {
        shot: [one for one in shown if one["shot"] == shot]
        for shot in dict.fromkeys(picture.shot for picture in pictures)
    }
    return section("Queries", render("episodes/gallery.html", by_shot=by_shot))


def _score(iou: float | None) -> str:
    return "nothing to score" if iou is None else percent(iou)


def format_result(found: dict[str, Any]) -> str:
    """The result of `evaluate` as lines for a terminal, scores in percent."""
    protocol = found["protocol"]
    lines = [
        f"protocol {protocol['name']}: {protocol['split']}, {protocol['way']}-way, "
        f"{protocol['episodes']} episodes x {len(protocol['seeds'])} seeds, photos "
        f"{protocol['fit']} to {protocol['size']}, scored at {protocol['score']} size"
    ]
    for shot, result in found["shots"].items():
        for name, title in (("mean_iou", "mean IoU"), ("fb_iou", "FB-IoU")):
            lines.append(f"{shot}-shot  {title:9} {_percent(result[name])}")
        lines += [
            f"        {name:20} {_percent(score)}"
            for name, score in result["class_iou"].items()
        ]
    return "\n".join(lines)


def _percent(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "nothing to score"
    text = f"{100 * score['mean']:5.1f}  std {100 * score['std']:.1f}"
    if score["interval"] is not None:
        text += f"  95 % interval +-{100 * score['interval']:.1f}"
    return text
