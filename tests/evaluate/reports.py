"""What every kind of evaluation shows, made without a network.

Names that come from data (classes, photos, splits, maps, terms of a loss) hold MARK, so
that a test can put other ones in their place.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.episodes.supports import Supports
from ppcjax.data_pipelines.sources.base import Reading
from ppcjax.evaluate import driver
from ppcjax.evaluate.episodes import metric
from ppcjax.evaluate.episodes import page as episodes_page
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.evaluate.masks import gallery, stages
from ppcjax.evaluate.neighbours import evaluation as neighbours
from ppcjax.evaluate.protocol import Plan
from ppcjax.evaluate.views import page as views_page
from ppcjax.evaluate.views.metric import alignment, match
from ppcjax.report.overlay import as_jpeg
from ppcjax.report.text import as_json
from tests.data.toy_sources import good, source_of
from tests.evaluate.masks.demo import CLASSES as DEMO_CLASSES
from tests.evaluate.masks.demo import THRESHOLDS, make_prediction, make_summary
from tests.evaluate.views.boxes import WHOLE, describe_places, example

MARK = "toy"
CLASSES = ("background", "toy cat", "toy dog", "toy person")


class Shown(NamedTuple):
    """What a report shows.

    page: (metrics, tiles) -> Page, as of a plan.
    metrics: what metrics.json holds.
    tiles: the gallery.
    """

    page: Any
    metrics: dict
    tiles: list


def _head(kind):
    reading = Reading(
        photos="toy folder",
        tags="toy table",
        masks="toy files",
        classes="toy list",
        held_out=tuple(f"toy held {i:04d}" for i in range(30)),
        warnings=("toy warning",),
        passed={"toy notes": 3},
        splits={"toy train": 70, "toy val": 30},
    )
    names = ("background", "toy c1", "toy c2")
    read = survey.survey(source_of(good(2), names=names, reading=reading), needs="tags")
    account = read.as_json() | {"damaged": {"toy 9": "toy 9: cut off"}}
    return {
        "config": f"{MARK} {kind}",
        "method": MARK,
        "evaluation": kind,
        "run": "runs/toy",
        "step": 12,
        "split": "toy val",
        "skipped": {"toy 7": "toy 7: cannot be read"},
        "data": account | {"errors": ["toy error"]},
    }


def _masks(kind, *, background=True, **more):
    names, sizes = ("toy first", "toy sub/second"), ((60, 80), (90, 45))
    predictions = [
        make_prediction(name, size, seed=seed)
        for seed, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    if not background:
        more["classes"] = ["toy sky", *CLASSES[1:]]
    demo = DEMO_CLASSES if background else ("sky", *DEMO_CLASSES[1:])
    found = make_summary(predictions, classes=demo) | _head(kind)
    found |= {"classes": list(CLASSES), "report_classes": ["toy cat"]} | more
    tiles = [gallery.make_tile(p, THRESHOLDS) for p in predictions]
    rows = [
        {"id": name, "size": size, "areas": {"0": 9, "2": 8}, "uncertainty": 0.5}
        for name, size in zip(names, sizes, strict=True)
    ]
    rows = [row | {"photo_size": row["size"], "iou": 0.4} for row in rows]

    def page(metrics, both):
        return gallery.page(metrics, both[0], THRESHOLDS, both[1])

    return Shown(page, found, [tiles, rows])


def _supports(kind):
    shown = _masks(kind, stages="classes learnt from toy examples")
    told = ("toy examples: 3 photos", "toy masks")
    examples = Supports((), (), (), (), text=told, warnings=("toy guess",))
    empty = dict.fromkeys(Plan._fields)
    plan = Plan(**empty | {"page": shown.page})
    return shown._replace(page=stages._with_examples(plan, examples).page)


def _neighbours(kind):
    memory = {"split": "toy train", "photos": 3, "patches": 900, "map": "toy map"}
    memory |= {"channels": 8, "side": 504, "cells": 36}
    memory["patches_with"] = {"background": 800, "toy cat": 100, "toy dog": 0}
    shown = _masks(kind, stages="the 30 nearest of toy patches", memory=memory)
    empty = dict.fromkeys(Plan._fields)
    plan = Plan(**empty | {"page": shown.page})
    return shown._replace(page=neighbours.with_memory(plan, None).page)


def _episodes(kind):
    counts = metric.Counts(*np.array([[50, 40, 0, 0], [9, 8, 0, 0], [30, 5, 0, 0]]))
    more = metric.Counts(*np.array([[40, 40, 0, 0], [9, 9, 0, 0], [9, 50, 0, 0]]))
    shots = {s: metric.summarize([counts, more], CLASSES, (1, 3)) for s in (1, 5)}
    protocol = {"name": "own", "split": "toy (split test)", "way": 2}
    found = {
        "protocol": protocol
        | {"classes": ["toy cat", "toy person"]}
        | EpisodeSettings().resolved()._asdict(),
        "shots": shots,
        "left_out": {"toy dog": "6 photos are needed, toy dog has 1"},
        "choice": {
            "step": 12,
            "mean_iou": {"6": 0.3, "12": 0.4},
            "classes": ["toy dog"],
            "held_out": True,
            "split": "toy val",
            "episodes": 9,
            "shot": 1,
        },
    }
    wide = as_jpeg(np.full((32, 100, 3), 120, np.uint8))
    tiles = [
        episodes_page.Picture(shot, ("toy cat", "toy person"), iou, wide)
        for shot, iou in ((1, 0.5), (1, None), (5, 0.25))
    ]
    return Shown(episodes_page.page, as_json(_head(kind) | found), tiles)


def _views(kind):
    box = np.stack([WHOLE, WHOLE])
    one = example(box, np.full((2, 16, 16, 3), 90, np.uint8))
    maps = describe_places(WHOLE, (4, 4))
    both = {"embedding": np.stack([maps] * 2), "toy map": np.stack([maps] * 2)}
    found = {
        name: alignment(name).summarize(alignment(name).count(both, one))
        for name in both
    }
    drawn = views_page.draw(one, match(maps, maps, *box), side=60)
    tiles = [drawn._replace(id="toy photo"), drawn._replace(id="toy other", cells=0)]
    metrics = {"photos": 9, "crop": 16, "maps": found, "random": found}
    return Shown(views_page.page, as_json(_head(kind) | metrics), tiles)


SHOWN = {
    "maps": lambda: _masks("maps"),
    "logits": lambda: _masks("logits", background=False),
    "affinity": lambda: _masks("affinity", stages="random walk of toy scores"),
    "episodes": lambda: _episodes("episodes"),
    "supports": lambda: _supports("supports"),
    "features": lambda: _views("features"),
    "neighbours": lambda: _neighbours("neighbours"),
}


def write(folder: Path, shown: Shown) -> Path:
    """Writes the report of an evaluation, and the curves of its run, into a folder."""
    folder.mkdir(parents=True)
    rows = [
        {
            "step": step,
            f"train/loss/{shown.metrics['method']}": 400 / (1 + step) ** 2,
            "train/loss/total": 2.0 - step / 100,
            f"val/{shown.metrics['method']}": 0.25,
        }
        for step in range(50)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text)
    plan = SimpleNamespace(page=shown.page, run=SimpleNamespace(folder=folder))
    made = {"Command": shown.metrics["run"], "Checkpoint": shown.metrics["run"]}
    path = folder / "report.html"
    path.write_bytes(driver.report(plan, shown.metrics, shown.tiles, made=made))
    return path
