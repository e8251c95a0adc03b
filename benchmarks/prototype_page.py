"""Pictures and the page of `benchmarks.prototypes`."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from benchmarks.prototype_counts import KINDS, Photo
from ppcjax.report import html, page
from ppcjax.report.overlay import draw_mask

_CELL = 34  # pixels, of a confusion
_SIDE = 150  # pixels, of a picture of a map
_GAP = 6
_TEXT = 12
_LEFT = 120  # pixels, for names beside a confusion
# From little to much, told apart in grey, too.
_RAMP = np.array([(40, 20, 80), (40, 90, 150), (60, 170, 120), (250, 230, 80)])
_MADE = {
    "own": "as in training",
    "tagged": "of tagged photos",
    "true": "of true masks",
}
_ABOUT = (
    "Pixels are those of the grid on which views are compared, of photos cut as in "
    "training. Chance for a class: the share of all pixels of the photos tagged with "
    "it that get its label, which is what labels without regard to place would hit."
)


def write(
    out: Path, found: Mapping[str, Any], classes: Sequence[str], photos: Sequence[Photo]
) -> None:
    """Writes confusion.png, maps.png and prototypes.html.

    Args:
        out: folder that is there.
        found: what prototypes.json holds.
        classes: names of the classes.
        photos: those that are drawn.
    """
    names = [name for name in ("pseudo", "nearest") if name in found["labels"]]
    matrices = {KINDS[n]: np.array(found["labels"][n]["confusion"]) for n in names}
    pictures = {
        "confusion": (confusions(matrices, classes), "Confusions, row by row"),
        "maps": (maps(photos, classes), "Photos and their prototypes"),
    }
    sections = [_told(found), _by_class(found), _made_of(found)]
    for name, (picture, title) in pictures.items():
        picture.save(out / f"{name}.png", optimize=True)
        shown = page.image(_jpeg(picture), title, group="pictures")
        sections.append(page.section(title, shown))
    lead = f"{found['run']}, step {found['step']}, split {found['split']}"
    made = {n: found[n] for n in ("command", "commit", "machine")}
    whole = page.Page("What prototypes find", lead, sections, made=made)
    (out / "prototypes.html").write_text(page.as_html(whole), "utf-8")


def lines(found: Mapping[str, Any]) -> list[str]:
    """The most telling numbers, a line each."""
    shown = {"mean_recall": "recall", "mean_chance": "by chance", "mean_iou": "IoU"}
    shown |= {"foreground": "foreground", "true_foreground": "true"}
    told = []
    for kind, of in found["labels"].items():
        numbers = [f"{word} {_percent(of[name])}" for name, word in shown.items()]
        told.append(f"{KINDS[kind]}: {', '.join(numbers)}")
    for name, of in found["cosines"].items():
        pairs = np.array([pair for pair in of.values() if None not in pair])
        own, other = pairs.mean(0)
        what = _MADE[name]
        told.append(f"prototypes {what}: cosine {own:.3f}, best other {other:.3f}")
    return told


def _told(found: Mapping[str, Any]) -> Markup:
    columns = ["mean recall", "by chance", "accuracy", "mean IoU", "foreground", "true"]
    keys = ("mean_recall", "mean_chance", "accuracy", "mean_iou")
    keys += ("foreground", "true_foreground")
    rows = [
        (KINDS[name], [_percent(of[key]) for key in keys])
        for name, of in found["labels"].items()
    ]
    about = html.render("lines.html", lines=[_ABOUT])
    return page.section("Labels of pixels", about + _table(columns, rows))


def _by_class(found: Mapping[str, Any]) -> Markup:
    of = found["labels"]
    columns = ["true share", "pseudo labels", "by chance", "nearest", "by chance"]
    columns += ["of true masks", "cosine", "best other", "of true masks", "best other"]
    rows = []
    for name, share in found["true_share"].items():
        kinds = ("pseudo", "nearest")
        cells = [of[k][what][name] for k in kinds for what in ("recall", "chance")]
        cells.append(of["nearest_true"]["recall"][name])
        cosines = [*found["cosines"]["own"][name], *found["cosines"]["true"][name]]
        shown = [_percent(v) for v in [share, *cells]]
        shown += ["" if v is None else f"{v:.3f}" for v in cosines]
        rows.append((name, shown))
    return page.section("Classes: recall and cosines", _table(columns, rows))


def _made_of(found: Mapping[str, Any]) -> Markup:
    columns = ["batches that show it"]
    columns += 2 * ["of its own pixels", "most of another class"]
    rows = []
    for place, name in enumerate(found["tagged_batches"]):
        cells = [_percent(found["tagged_batches"][name])]
        for of in found["made_of"].values():
            shares = np.nan_to_num(np.array(of[name], float))
            worst = int(np.where(np.arange(len(shares)) == place, -1, shares).argmax())
            cells += [_percent(shares[place])]
            cells += [f"{list(of)[worst]} {_percent(shares[worst])}"]
        rows.append((name, cells))
    said = "First as the run makes them, then of photos tagged with the class alone."
    about = html.render("lines.html", lines=[said])
    return page.section("What prototypes are made of", about + _table(columns, rows))


def _table(columns: Sequence[str], rows: Sequence[Any]) -> Markup:
    return html.render("views/monitors.html", columns=list(columns), rows=rows)


def _percent(share: float | None) -> str:
    return "" if share is None or np.isnan(share) else f"{100 * share:.1f}"


def confusions(
    matrices: Mapping[str, np.ndarray], classes: Sequence[str]
) -> Image.Image:
    """Row-normalised matrices beside each other, in percent.

    Args:
        matrices: [C, C] shares of a true class (rows) that got a label, by title; NaN
            for a class that is not there.
        classes: names.
    """
    side = _CELL * len(classes)
    wide = _LEFT + side + 3 * _GAP
    picture = Image.new("RGB", (wide * len(matrices), _LEFT + side + 2 * _GAP), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT)
    for place, (title, matrix) in enumerate(matrices.items()):
        left = place * wide + _LEFT
        pen.text((left, _GAP), f"{title}; rows: truth", "black", font)
        for i, name in enumerate(classes):
            middle = _LEFT + (i + 0.5) * _CELL
            pen.text((left - _GAP, middle), name, "black", font, "rm")
            _upright(picture, name, (left + i * _CELL, _LEFT - _GAP), font)
            for j, share in enumerate(matrix[i]):
                corner = left + j * _CELL, _LEFT + i * _CELL
                _cell(pen, corner, share, font)
    return picture


def _cell(pen, corner, share: float, font) -> None:
    if np.isnan(share):
        return
    colour = tuple(
        np.round(255 - share * np.array([255, 141, 77])).astype(int).tolist()
    )
    x, y = corner
    pen.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), colour)
    ink = "white" if share > 0.5 else "black"
    middle = x + _CELL / 2, y + _CELL / 2
    pen.text(middle, f"{100 * share:.0f}", ink, font, "mm")


def _upright(picture, name: str, corner, font) -> None:
    """Writes a name from the corner upwards."""
    width, height = int(font.getlength(name)) + 2, _TEXT + 4
    letters = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(letters).text((0, 0), name, "black", font)
    turned = letters.rotate(90, expand=True)
    x, y = corner
    picture.paste(turned, (int(x + (_CELL - height) / 2), y - width))


def maps(photos: Sequence[Photo], classes: Sequence[str]) -> Image.Image:
    """A row for each photo: it, its truth, labels, and cosines to two prototypes.

    Colours of the last two go from the photo's lowest cosine to its highest.
    """
    titles = ["photo", "truth", "pseudo labels", "nearest prototype", "to", "to"]
    row = _SIDE + _TEXT + 2 * _GAP
    size = len(titles) * (_SIDE + _GAP), max(len(photos), 1) * row
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT)
    for line, photo in enumerate(photos):
        cells, said = _cells(photo, classes)
        for place, (cell, title) in enumerate(zip(cells, titles, strict=True)):
            x, y = place * (_SIDE + _GAP), line * row
            pen.text((x, y), f"{title} {said.get(place, '')}".strip(), "black", font)
            picture.paste(cell, (x, y + _TEXT + _GAP))
    return picture


def _cells(photo: Photo, classes: Sequence[str]) -> tuple[list[Image.Image], dict]:
    """Pictures of a photo in the order of titles, and words for some of them."""
    grey = photo.image.mean(-1, keepdims=True).repeat(3, -1) * 0.6 + 255 * 0.4
    counts = np.bincount(photo.mask[photo.mask < len(classes)], minlength=len(classes))
    largest = int(counts[1:].argmax()) + 1
    shown = largest, 0
    both = photo.near[..., list(shown)]
    low, high = float(both.min()), float(both.max())
    cells = [Image.fromarray(photo.image)]
    for labels in (photo.mask, photo.labels, photo.near.argmax(-1)):
        mask = _enlarged(labels.astype(np.uint8), photo.mask.shape)
        cells.append(Image.fromarray(draw_mask(grey, mask, opacity=0.8)))
    for place in range(2):
        share = (both[..., place] - low) / max(high - low, 1e-6)
        cells.append(Image.fromarray(_ramp(share)))
    said = {
        4: f"{classes[largest]}, from {low:.2f}",
        5: f"{classes[0]}, up to {high:.2f}",
    }
    nearest = Image.Resampling.NEAREST
    return [cell.resize((_SIDE, _SIDE), nearest) for cell in cells], said


def _enlarged(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(picture).astype(np.int32)


def _ramp(share: np.ndarray) -> np.ndarray:
    """[h, w, 3] uint8 colours of shares in 0..1."""
    places = np.linspace(0, 1, len(_RAMP))
    channels = [np.interp(share, places, _RAMP[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()
