"""Every kind of evaluation that ends in masks, on toy networks that see colours.

`EVALUATIONS` says which kinds there are; a new one needs an entry of `METHODS` where it
takes runs of its own, or fails the tests.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from PIL import Image

from ppcjax.evaluate import EVALUATIONS
from ppcjax.evaluate.driver import evaluate
from ppcjax.evaluate.masks.files import scores_bytes
from ppcjax.evaluate.protocol import Request
from ppcjax.evaluate.training import settings_of
from ppcjax.fields import fields_of
from ppcjax.ops.affinity import pair_offsets
from ppcjax.runs import Run
from ppcjax.runs.files import write_file
from ppcjax.types import IGNORE, Method
from tests.evaluate.masks.toy import colour_method

CLASSES = ("background", "red", "green")
_CELL = 4


def _cells(image):
    """[..., H, W, 3] uint8 -> the mean colour in 0..1 of cells of 4 x 4 pixels."""
    *first, height, width, _ = image.shape
    split = (*first, height // _CELL, _CELL, width // _CELL, _CELL, 3)
    return (image.astype(jnp.float32) / 255).reshape(split).mean((-4, -2))


def _segmenter():
    def predict(params, model_state, batch):
        red_green = _cells(batch["image"])[..., :2]
        logits = jnp.pad(4 * red_green, [(0, 0)] * 3 + [(1, 0)], constant_values=1.5)
        return {"logits": logits}

    return Method(None, None, predict, gives="logits")


def _affinity():
    def predict(params, model_state, batch):
        cells = _cells(batch["image"])
        pairs = [
            jnp.exp(-4 * jnp.abs(cells - jnp.roll(cells, (-dy, -dx), (1, 2))).mean(-1))
            for dy, dx in pair_offsets(2)
        ]
        return {"affinity": jnp.stack(pairs, 1)}

    return Method(None, None, predict, gives="affinity")


def _few_shot():
    def unit(x):
        return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-6)

    def fit(params, model_state, batch):
        cells = _cells(batch["support_image"])  # [B, N, K, h, w, 3]
        mask = batch["support_mask"][..., ::_CELL, ::_CELL]
        there = batch["shot_valid"][..., None, None]

        def mean(value, axes):
            chosen = ((mask == value) & there)[..., None]
            return (cells * chosen).sum(axes) / (chosen.sum(axes) + 1e-6)

        ground = mean(0, (1, 2, 3, 4))[:, None]
        return {"means": jnp.concatenate([ground, mean(1, (2, 3, 4))], 1)}

    def segment(params, model_state, prototypes, queries):
        cells = unit(_cells(queries["query_image"]))
        means = unit(prototypes["means"])
        return {"logits": 20 * jnp.einsum("bqhwc,bnc->bqhwn", cells, means)}

    def predict(params, model_state, batch):
        return segment(params, model_state, fit(params, model_state, batch), batch)

    return Method(None, None, predict, "episodes", "episodes", fit=fit, segment=segment)


def _features():
    def predict(params, model_state, batch):
        return {"cells": jnp.pad(_cells(batch["image"]), [(0, 0)] * 3 + [(0, 1)])}

    return Method(None, None, predict, gives="features")


# By what a run gives: its name among the methods, and a network without training.
METHODS = {
    "maps": ("ppc", colour_method()),
    "logits": ("segment", _segmenter()),
    "affinity": ("affinity", _affinity()),
    "episodes": ("panet", _few_shot()),
    "features": ("features", _features()),
}
# Of settings beside the CRF that bear upon masks: values to try; "" is the default.
_VALUES = {
    "alpha": (1.5,),
    "affinity_labels": ((4.0, 24.0), "auto"),
    "pixel_refine": (3,),
    "none_of_these": ("off", 0.5),
    "export_format": (("coco",),),
}


class Kind(NamedTuple):
    """A kind of evaluation with its settings.

    name: key of EVALUATIONS.
    settings: values that differ from the defaults.
    """

    name: str
    settings: dict

    def __str__(self):
        told = [f"{name}={value}" for name, value in self.settings.items()]
        return " ".join([self.name, *told])


def kinds():
    """All that end in masks: the table's, with and without each of their settings."""
    for name, entry in EVALUATIONS.items():
        declared = fields_of(entry.settings)
        if "crf" not in declared:
            continue
        for crf in ({}, {"crf": "k1"}):
            yield Kind(name, crf)
            for more, values in _VALUES.items():
                if more in declared and (crf or more != "alpha"):
                    yield from (Kind(name, crf | {more: value}) for value in values)


def write_photos(root, *, count=3):
    """Photos of noisy squares, their masks, and their classes."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        height, width = 24 + 4 * (i % 3), 36
        image = rng.integers(0, 110, (height, width, 3), np.uint8)
        ramp = np.linspace(40, 250, 20).astype(np.uint8)
        label = 1 + i % 2
        image[4:20, 6:26, label - 1] = ramp
        image[8:12, 28:34, 2 - label] = 170
        mask = np.zeros((height, width), np.uint8)
        mask[4:20, 10:26], mask[0] = label, IGNORE
        Image.fromarray(image).save(root / "images" / f"p{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"p{i}.png")
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def write_cams(folder, root):
    """Scores that an earlier stage wrote: how red and how green a photo is."""
    for file in sorted((root / "images").iterdir()):
        image = np.asarray(Image.open(file)).astype(np.float32) / 255
        scores = np.concatenate([np.zeros_like(image[..., :1]), image[..., :2]], -1)
        content = scores_bytes(scores, np.ones(3, bool))
        write_file(folder / "scores" / f"{file.stem}.npz", content)
    return folder


def run_kind(
    kind,
    root,
    out,
    *,
    classes=CLASSES,
    limit=None,
    on_photos=False,
    val_split="",
    **settings,
):
    """Evaluates a kind; `settings` count as given on the command line.

    Args:
        kind: what is evaluated.
        root: what `write_photos` wrote.
        out: folder of the results.
        classes: names by class id.
        limit: largest number of photos, evenly spaced; None: all.
        on_photos: whether the photos are read without their masks.
        val_split: that of the run's data.
        **settings: further ones, such as `threshold`.

    Returns:
        What metrics.json holds.
    """
    entry = EVALUATIONS[kind.name]
    (gives,) = [gives for gives, (_, m) in METHODS.items() if entry.fits(m)]
    name, method = METHODS[gives]
    data = {"source": "folder", "root": str(root), "eval_split": "all", "crop": 32}
    data |= {"train_split": "all", "val_split": val_split, "val_share": 0.4}
    config = {"name": kind.name, "method": {"name": name}, "data": data}
    run = Run(out.parent, 1, config, classes, method, {}, {})
    values = dict(kind.settings)
    if "scales" in fields_of(entry.settings):
        values["scales"] = (1.0,)
    if "memory" in fields_of(entry.settings):  # of the very photos, all of them
        values |= {"side": 32, "k": 3}
        on_photos = True
    photos = {"split": "all"}
    if "support" in fields_of(entry.settings):
        values["support"], on_photos = str(root), True
    if on_photos:
        photos = {"images": str(root / "images")}
    if "cams" in fields_of(entry.settings):
        cams = out.parent / "cams"
        values["cams"] = str(cams if cams.exists() else write_cams(cams, root))
        if "alpha" not in values:  # of the walk: else it is nowhere the likeliest
            values["background"] = 0.6
    values = settings_of(entry, values | settings, kind.name)
    request = dataclasses.replace(Request(export=str(out), limit=limit), **photos)
    plan = entry.plan(run, values, request, frozenset({*kind.settings, *settings}))
    return evaluate(kind.name, plan, values, out)
