"""How well two sets of masks agree: as Python has it, as files, as text."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ppcjax.console import plain
from ppcjax.report.text import as_json, percent

# Figure -> what stands above its column.
COLUMNS = {
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "boundary_iou": "bound. IoU",
    "boundary_f": "bound. F",
}
_WORST = 10


@dataclasses.dataclass(frozen=True)
class Scores:
    """How well two sets of masks agree; shares in 0..1, NaN where undefined.

    mean_iou: mean over the classes, of the whole set.
    mean_boundary_iou: the same of pixels within 2 % of the diagonal of contours.
    mean_boundary_f: the same of contours that match within 0.75 % of the diagonal.
    pixel_accuracy: share of the pixels whose class is right.
    weighted_iou: IoU weighted by how many pixels are of a class.
    mean_precision, mean_recall: over the classes that are predicted, that are true.
    classes: by name, the figures "iou", "precision", "recall", "boundary_iou",
        "boundary_f", and "share" of the true pixels; classes that neither shows are
        left out, unless they count as 0.
    photos: how many were scored.
    void: how many were not, as their truth is void.
    by_photo: mean IoU of each photo over the classes of its masks, by id.
    lines: what was read and how.
    warnings: what was guessed, differs or is left out, one line each.
    """

    mean_iou: float
    mean_boundary_iou: float
    mean_boundary_f: float
    pixel_accuracy: float
    weighted_iou: float
    mean_precision: float
    mean_recall: float
    classes: Mapping[str, Mapping[str, float]]
    photos: int
    void: int
    by_photo: Mapping[str, float] = dataclasses.field(repr=False)
    lines: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    def worst(self, count: int = _WORST) -> list[tuple[str, float]]:
        """Ids and mean IoU of the photos that agree least, the worst first."""
        by_iou = sorted(self.by_photo.items(), key=lambda item: (item[1], item[0]))
        return by_iou[:count]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON types; None where a figure is undefined."""
        found = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        del found["by_photo"]
        found["worst"] = [{"id": key, "iou": iou} for key, iou in self.worst()]
        content: dict[str, Any] = as_json(found)
        return content

    def as_csv(self) -> str:
        """A table of the photos: id and mean IoU, in the order in which they came."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("photo", "iou"))
        found = self.by_photo.items()
        writer.writerows((plain.cell(key), f"{iou:.6f}") for key, iou in found)
        return text.getvalue()

    def as_text(self) -> str:
        """Tables for people."""
        rows = [["", *COLUMNS.values(), "of pixels"]]
        rows.append(["mean", *(percent(getattr(self, f"mean_{f}")) for f in COLUMNS)])
        rows[-1].append("")
        for name, figures in self.classes.items():
            shown = (percent(figures[figure]) for figure in (*COLUMNS, "share"))
            rows.append([name, *shown])
        lines = [*aligned(rows), ""]
        lines.append(f"pixel accuracy {percent(self.pixel_accuracy)}")
        lines[-1] += f", IoU weighted by pixels {percent(self.weighted_iou)}"
        worst = [(key, iou) for key, iou in self.worst() if iou < 1]
        if worst and self.photos > 1:
            lines += ["", "photos that agree least, by mean IoU"]
            lines += aligned([[f"  {key}", percent(iou)] for key, iou in worst])
        return "\n".join(lines)

    def __str__(self) -> str:
        """The same as `as_text`."""
        return self.as_text()


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column begins, the others end below each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines
