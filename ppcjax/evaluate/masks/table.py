"""photos.csv: a line of each photo, for spreadsheets and for programs.

UTF-8 with a byte-order mark, without which spreadsheets take it for another encoding;
commas; lines end as in RFC 4180. Numbers have a decimal point.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ppcjax.console import plain
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.runs.ours import Folder

NAME = "photos.csv"


def writer(
    formats: Callable[[Folder], None],
    rows: Mapping[str, Any],
    source: Source,
    classes: Sequence[str],
) -> Callable[[Folder], None]:
    """What writes the table behind the formats of other tools, once `rows` holds all.

    Args:
        formats: what writes those formats into a folder.
        rows: what is told of the photos, filled while they are predicted.
        source: all photos.
        classes: names by class id.
    """

    def finish(folder: Folder) -> None:
        formats(folder)
        write(folder, rows, source, classes)

    return finish


def write(
    folder: Folder, rows: Mapping[str, Any], source: Source, classes: Sequence[str]
) -> None:
    """Writes OUT/photos.csv.

    Args:
        folder: OUT.
        rows: what is told of each photo that was predicted, see `rows.row`, by id.
        source: all photos; of those that were left out it knows why.
        classes: names by class id.
    """
    iou = any(row["iou"] is not None for row in rows.values())
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(_cells(header(classes, iou=iou)))
    for name in source.ids:
        photo = str(source.files.get(name, name))
        if name in rows:
            lines.writerow(_cells(_line(photo, rows[name], len(classes), iou=iou)))
        elif name in source.skipped:
            empty = [""] * (4 + len(classes) + iou)
            lines.writerow(_cells([name, *empty, source.skipped[name], photo]))
    folder.write(NAME, ("\ufeff" + text.getvalue()).encode())


def header(classes: Sequence[str], *, iou: bool) -> list[str]:
    """Names of the columns.

    Args:
        classes: names by class id.
        iou: whether any photo has a true mask.
    """
    scored = ["IoU %"] if iou else []
    shares = [f"{name} %" for name in classes]
    known = ["photo", "mask", "width", "height", "uncertainty"]
    return [*known, *scored, *shares, "left out", "file"]


def _line(photo: str, row: Mapping[str, Any], classes: int, *, iou: bool) -> list[Any]:
    height, width = row["photo_size"]
    whole = sum(row["areas"].values())
    found = row["iou"]
    scored = ["" if found is None else _percent(found)] if iou else []
    areas = [row["areas"].get(str(c), 0) / whole for c in range(classes)]
    mask = f"masks/{row['id']}.png"
    head = [row["id"], mask, width, height, f"{row['uncertainty']:.4f}"]
    return [*head, *scored, *map(_percent, areas), "", photo]


def _percent(share: float) -> str:
    """Two digits; more where they would say 0 of what is there."""
    text = f"{100 * share:.2f}"
    return f"{100 * share:.1g}" if share > 0 and float(text) == 0 else text


def _cells(values: Sequence[Any]) -> list[str]:
    """Cells that neither begin a formula nor hold what is not printed."""
    return [plain.cell(v) if isinstance(v, str) else str(v) for v in values]
