"""What an evaluation of views shows: drawn correspondences, sections of its page."""

import colorsys
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw

from ppcjax.data_pipelines.sources.subset import evenly_spaced
from ppcjax.data_pipelines.views import PairExample
from ppcjax.evaluate.views.metric import Matches
from ppcjax.report.html import render
from ppcjax.report.page import Page, image, section
from ppcjax.report.text import percent

RIGHT, WRONG = (86, 200, 250), (240, 110, 20)  # blue, orange: all people see them
CASING = (16, 21, 28)  # around a line, so that it stands out on any photo
_GAP = 24  # pixels between the two views

MAP_TITLES = {
    "embedding": "projections, which the loss compares",
    "feature": "the backbone, which other methods start from",
}


class Drawn(NamedTuple):
    """A picture, how many cells both views show, and how many of these are right."""

    id: str
    jpeg: bytes
    cells: int
    right: int


def draw(
    example: PairExample, matches: Matches, *, cells: int = 25, side: int = 320
) -> Drawn:
    """Both views of a photo, with what the second has for some cells of the first.

    A dot marks a cell of the first view, a dot of the same colour the most similar cell
    of the second, and a ring where it truly is. The line is blue where that is within
    one cell, orange where not.

    Args:
        example: the photo and its views.
        matches: what the second view has for the first's cells, on equal grids.
        cells: at most so many, evenly spaced over those that both views show.
        side: height and width of a drawn view, pixels.
    """
    scale = 2  # drawn larger, then reduced: smooth edges
    views = [
        Image.fromarray(view).resize((scale * side,) * 2, Image.Resampling.BICUBIC)
        for view in example.pair.image
    ]
    start = scale * (side + _GAP)
    canvas = Image.new("RGB", (scale * side + start, scale * side), "white")
    canvas.paste(views[0], (0, 0))
    canvas.paste(views[1], (start, 0))
    pen = ImageDraw.Draw(canvas)

    def pixel(place, second):
        rows, columns = matches.grid
        x, y = ((place[i] + 0.5) / n for i, n in ((1, columns), (0, rows)))
        return (x * scale * side + second * start, y * scale * side)

    for index in evenly_spaced(np.flatnonzero(matches.known).tolist(), cells):
        own = divmod(index, matches.grid[1])
        here, there = pixel(own, False), pixel(matches.found[index], True)
        line = RIGHT if matches.right[index] else WRONG
        pen.line([here, there], fill=CASING, width=4 * scale)
        pen.line([here, there], fill=line, width=2 * scale)
        _circle(pen, pixel(matches.place[index], True), 5 * scale, outline="white")
        colour = _colour_of(own, matches.grid)
        for centre in (here, there):
            _circle(pen, centre, 5 * scale, fill=colour, outline="white")
    content = io.BytesIO()
    canvas.reduce(scale).save(content, "JPEG", quality=88, subsampling=0)
    known, right = int(matches.known.sum()), int(matches.right.sum())
    return Drawn(example.id, content.getvalue(), known, right)


def _circle(pen, centre, radius: int, *, fill=None, outline=None) -> None:
    (x, y), width = centre, max(radius // 4, 1)
    box = (x - radius, y - radius, x + radius, y + radius)
    pen.ellipse(box, fill=fill, outline=outline, width=width)


def _colour_of(cell: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int, int]:
    """The hue goes with the column, the lightness with the row."""
    row, column = ((i + 0.5) / n for i, n in zip(cell, grid, strict=True))
    shades = colorsys.hls_to_rgb(0.85 * column, 0.3 + 0.45 * row, 0.9)
    return tuple(round(255 * shade) for shade in shades)


def page(summary: Mapping[str, Any], drawn: Sequence[Drawn]) -> Page:
    """What the report shows.

    Args:
        summary: what metrics.json holds.
        drawn: the gallery.
    """
    return Page(
        title=f"{summary['config']} on {summary['split']}",
        lead=lead(summary),
        sections=[headline(summary), gallery(drawn, summary), monitors(summary)],
    )


def lead(summary: Mapping[str, Any]) -> str:
    """What was evaluated, in a line of plain text."""
    return (
        f"Method {summary['method']}, step {summary['step']}. Split "
        f"{summary['split']}: two random views of each of {summary['photos']} photos, "
        f"{summary['crop']} pixels a side, without any label."
    )


def headline(summary: Mapping[str, Any]) -> Markup:
    """Correspondence accuracy of each map, beside chance and the untrained network."""
    maps = [
        {
            "name": name,
            "title": MAP_TITLES.get(name, ""),
            "accuracy": found["accuracy"],
            "chance": found["chance"],
            "before": summary["random"].get(name, {}).get("accuracy"),
        }
        for name, found in summary["maps"].items()
    ]
    return section(
        "Correspondence between two views", render("views/headline.html", maps=maps)
    )


_ROWS = (
    ("accuracy", "correspondence accuracy", "{:.3f}"),
    ("chance", "of a random cell", "{:.3f}"),
    ("true_cosine", "cosine with the cell at the true place", "{:.3f}"),
    ("other_cosine", "cosine with all cells of the other view", "{:.3f}"),
    ("channel_std", "deviation of a channel (0 if collapsed)", "{:.4f}"),
    ("healthy_std", "1 / sqrt(channels), about that of a healthy one", "{:.4f}"),
    ("cosine_within", "cosine of cells of one photo (1 if collapsed)", "{:.3f}"),
    ("cosine_between", "cosine of cells of two photos (1 if collapsed)", "{:.3f}"),
)


def monitors(summary: Mapping[str, Any]) -> Markup:
    """All numbers of each map, trained and random, as a table."""
    columns = list(summary["maps"].items())
    columns += [(f"{name}, random", row) for name, row in summary["random"].items()]
    content = render(
        "views/monitors.html",
        columns=[name for name, _ in columns],
        rows=[
            (title, [number(row[key], form) for _, row in columns])
            for key, title, form in _ROWS
        ],
    )
    return section("Agreement, and signs of collapse", content)


def number(value: float | None, form: str = "{:.3f}") -> str:
    """A number as text; a dash where it is undefined."""
    return "–" if value is None else form.format(value)


def gallery(drawn: Sequence[Drawn], summary: Mapping[str, Any]) -> Markup | str:
    """The drawn correspondences."""
    if not drawn:
        return ""
    tiles = [
        {
            "id": tile.id,
            "share": _share(tile),
            "image": image(
                tile.jpeg, f"Two views of {tile.id} and correspondences", "pair"
            ),
        }
        for tile in drawn
    ]
    content = render(
        "views/gallery.html",
        tiles=tiles,
        photos=summary["photos"],
        compared=next(iter(summary["maps"])),
    )
    return section("What the network takes for the same", content)


def _share(tile: Drawn) -> str:
    if not tile.cells:
        return "the views share no cell"
    return f"{tile.right} of {tile.cells} shared cells right"


def format_summary(summary: Mapping[str, Any]) -> str:
    """A summary as text for a terminal."""
    rows = list(summary["maps"].items())
    rows += [(f"{name}, random", row) for name, row in summary["random"].items()]
    lines = [
        f"{summary['config']} at step {summary['step']} on {summary['split']}: "
        f"{summary['photos']} photos, two views each",
        *(f"skipped: {reason}" for reason in summary["skipped"].values()),
        "",
        f"{'':<20}{'accuracy':>10}{'chance':>9}{'true cos':>10}{'other':>8}"
        f"{'std':>8}{'healthy':>9}",
    ]
    for name, row in rows:
        lines.append(
            f"{name:<20}{percent(row['accuracy']):>10}{percent(row['chance']):>9}"
            f"{number(row['true_cosine']):>10}{number(row['other_cosine']):>8}"
            f"{number(row['channel_std']):>8}{number(row['healthy_std']):>9}"
        )
    return "\n".join(lines)
