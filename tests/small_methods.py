"""All methods, small enough to compile in seconds, and one that is not there yet.

A new method needs a row of SMALL only where its defaults are too large for a test.
"""

from typing import Annotated

import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.fields import Range, build, fields_of
from ppcjax.losses import cross_entropy
from ppcjax.types import Method
from tests import batches

SMALL = {
    "affinity": {"radius": 2},
    "asgnet": {
        "endpoints": ("stage4", "stage3"),  # of small_resnet
        "backbone_gradient": True,
        "head_settings": {"scales": (1.0, 0.5)},
        "superpixel_cells": 4,
        "iterations": (2, 2),
    },
    "contrastive_seg": {
        "head": "v1",
        "head_settings": {"width": 8, "rate": 1},
        "max_anchors": 32,
        "max_views": 4,
        "region_slots": 6,
        "pixel_slots": 8,
        "pixels_per_push": 3,
        "contrast_block": 32,
    },
    "pixpro": {"momentum_steps": 60},
    "ppc": {"small_view": 16},
    "segment": {"head": "v2", "head_settings": {"width": 8, "rates": (1, 2)}},
}


def toy(num_classes: int, *, rate: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """The method that somebody adds: colours of cells, classified.

    Args:
        num_classes: C.
        rate: share of the old mean colour that the next one keeps.
    """

    def logits(params, batch):
        cells = jnp.asarray(batch["image"], jnp.float32)[:, 2::4, 2::4] / 255
        return cells @ params["kernel"] + params["bias"][None, None, None], cells

    def init(key, batch):
        params = {"kernel": np.zeros((3, num_classes), np.float32)}
        params["bias"] = np.zeros(num_classes, np.float32)
        return params, {"mean": np.zeros(3, np.float32)}

    def loss(params, model_state, batch, key, step):
        scores, cells = logits(params, batch)
        mean = jnp.mean(cells, axis=(0, 1, 2))
        state = {"mean": rate * model_state["mean"] + (1 - rate) * mean}
        nats = cross_entropy(scores, batch["mask"][:, 2::4, 2::4])
        return nats, (state, {"loss/nats": nats})

    def predict(params, model_state, batch):
        return {"logits": logits(params, batch)[0]}

    return Method(init, loss, predict)


FACTORIES = methods.METHODS | {"toy": toy}
NAMES = list(FACTORIES)


def small(name: str) -> dict:
    """Settings of a method that is quick to compile, from what it declares."""
    declared = fields_of(FACTORIES[name], without=("num_classes",))
    settings = {}
    if "backbone" in declared:
        settings["backbone"] = "small_resnet"
        settings["backbone_settings"] = {"width": 4}
    for field, (_, hint, *_) in declared.items():
        marks = getattr(hint, "__metadata__", ())
        of_items = getattr(hint, "__args__", ())
        if "channels" in marks:
            settings[field] = 8
        elif of_items and all(
            "channels" in getattr(item, "__metadata__", ()) for item in of_items
        ):
            settings[field] = (8,) * len(of_items)
    return settings | SMALL.get(name, {})


def make(name: str, **more) -> Method:
    """As `methods.make` does, of the toy too."""
    return build(
        FACTORIES[name],
        small(name) | more,
        where="config.method",
        what=name,
        num_classes=batches.CLASSES,
    )


# Those that have anything to train.
TRAINED = [name for name in NAMES if make(name).loss is not None]


def first_of_each_kind(names, kind):
    """Parameters of a test of methods, all but the first of each kind marked slow.

    Args:
        names: keys of METHODS.
        kind: field of Method that says which kind one is, "reads" or "gives", or
            what tells it of a method.
    """
    seen, params = set(), []
    for name in names:
        method = make(name)
        found = kind(method) if callable(kind) else getattr(method, kind)
        marks = [pytest.mark.slow] if found in seen else []
        params.append(pytest.param(name, marks=marks))
        seen.add(found)
    return params
