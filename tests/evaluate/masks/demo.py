"""A report on two photos: blobs of scores, a mask that is one of them."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.evaluate.masks import gallery, summary
from ppcjax.evaluate.masks.metric import sweep_with
from ppcjax.evaluate.masks.rows import row
from ppcjax.predict.prediction import Prediction, predict_mask
from ppcjax.report import curves, page
from ppcjax.report.text import as_json
from ppcjax.types import IGNORE

CLASSES = ("background", "cat", "<b>dog", "person")
THRESHOLDS = sweep_with(0.265)


class Shown(NamedTuple):
    id: str
    image: np.ndarray
    tags: np.ndarray | None
    mask: np.ndarray | None
    full_size: tuple[int, int] | None = None


def make_prediction(name, size, *, seed=0, masked=True):
    """Two smooth blobs of scores, and a mask that is one of them."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = np.asarray(
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scores = np.zeros((height, width, len(CLASSES)), np.float32)
    for c, (cy, cx) in ((1, (0.4, 0.3)), (3, (0.6, 0.7))):
        away = ((y / height - cy) ** 2 + (x / width - cx) ** 2) * 12
        scores[..., c] = 0.97 * np.exp(-away)
    mask = np.where(scores[..., 1] > 0.5, 1, 0).astype(np.int32)
    mask[:3] = IGNORE
    tags = np.array([1, 1, 0, 1], np.float32)
    example = Shown(name, image, tags, mask if masked else None)
    return Prediction(example, scores, tags > 0)


def make_summary(predictions, *, masked=True, classes=CLASSES):
    """What metrics.json holds; the masks of the first photo are counted."""
    background = classes == CLASSES
    chosen = {"threshold": 0.4, "split": "val2", "images": 7} if masked else None
    scored = summary.Scored(
        classes=classes,
        background=background,
        threshold=0.265,
        chosen=chosen,
        exported={"name": "fixed", "threshold": 0.265},
        report_classes=(classes[0], "cat"),
        arg_max=not background,
    )
    counts = {"predicted": len(predictions)}
    if masked:
        one = predictions[0]
        counts |= scored.metric().count({"scores": one.scores}, one.example)
        counts["images"] = len(predictions)
    head = {"config": "demo", "method": "ppc", "step": 12, "split": "val"}
    return as_json(head | {"skipped": {}} | summary.summarize(counts, scored))


def make_rows(predictions):
    """What is told of each photo."""
    return [
        row(p, predict_mask(p.scores, 0.265), uncertainty=0.1 * (k + 1))
        for k, p in enumerate(predictions)
    ]


def write_demo(path, *, masked=True, classes=CLASSES):
    """Writes a report and returns its predictions and tiles."""
    predictions = [
        make_prediction("first", (90, 120), masked=masked),
        make_prediction("sub/second", (700, 350), seed=1, masked=masked),
    ]
    tiles = [gallery.make_tile(p, THRESHOLDS) for p in predictions]
    steps = list(range(0, 100, 2))
    losses = {"total": (steps, [2 / (1 + s) for s in steps]), "er": ([0], [0.1])}
    found = make_summary(predictions, masked=masked, classes=classes)
    shown = gallery.page(found, tiles, THRESHOLDS, make_rows(predictions))
    sections = [*shown.sections, curves.losses(losses)]
    path.write_text(page.as_html(shown._replace(sections=sections)))
    return predictions, tiles
