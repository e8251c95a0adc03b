"""A run of contrastive_seg with its memory, and batches as its loss sees them."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppcjax import data_pipelines, fields
from ppcjax.methods import common, contrastive_seg, segmentation
from ppcjax.methods import contrastive_terms as terms
from ppcjax.nn import contrast_net
from ppcjax.ops import released_memory
from ppcjax.runs import checked
from ppcjax.runs.run import restore_counted
from ppcjax.types import IGNORE, UserError


class Opened(NamedTuple):
    """A run with its projection and its memory.

    step: updates that it was trained for.
    data: what config.data says.
    classes: names by class id.
    recipe: the network.
    colours: random colours of training.
    contrast: settings of the contrast.
    params: parameters.
    statistics: other variables of the network.
    memory: banks by name, as the loss reads them; {} where there is none.
    """

    step: int
    data: dict[str, Any]
    classes: tuple[str, ...]
    recipe: contrast_net.Recipe
    colours: contrastive_seg.Colours
    contrast: terms.Contrast
    params: Any
    statistics: Any
    memory: terms.Memory


class Seen(NamedTuple):
    """A training batch as the loss sees it.

    image: [B, H, W, 3] uint8, before the random colours.
    embedding: [B, h, w, D] unit vectors.
    labels: [B, h w] class of each cell, or IGNORE.
    scores: [B, h w, C] logits there.
    """

    image: jax.Array
    embedding: jax.Array
    labels: jax.Array
    scores: jax.Array

    @property
    def wrong(self) -> jax.Array:
        """[B, h w] bool, cells that are mispredicted."""
        known = self.labels != IGNORE
        return (jnp.argmax(self.scores, axis=-1) != self.labels) & known


def opened(path: str | Path) -> Opened:
    """Opens a run of the method contrastive_seg.

    Args:
        path: RUN, or RUN/checkpoints/STEP.

    Raises:
        UserError: there is none, it is of another method, or has no contrast.
    """
    restored = restore_counted(path)
    config = checked.config_of(restored.meta["config"], str(path))
    settings = dict(config["method"])
    name = settings.pop("name")
    if name != "contrastive_seg" or "projection" not in restored.params:
        raise UserError(f"{path} (method {name!r}) was trained without this contrast")
    classes = tuple(restored.meta["classes"])
    made = fields.checked(
        contrastive_seg.contrastive_seg,
        settings,
        where="config.method",
        what="method 'contrastive_seg'",
        without=("num_classes",),
    )
    state = dict(restored.model_state)
    memory = state.pop("memory", {})
    if made["anchors"].mode == "mem_official":
        memory = {name: released_memory.as_read(bank) for name, bank in memory.items()}
    network = made["network"]
    named = {f.name: getattr(network, f.name) for f in dataclasses.fields(network)}
    return Opened(
        restored.step,
        dict(config["data"]),
        classes,
        contrast_net.make(len(classes), **named),
        made["colours"],
        terms.Contrast(made["anchors"], made["memory"], len(classes)),
        restored.params,
        state,
        jax.tree.map(jnp.asarray, memory),
    )


def look(of: Opened, root: str, count: int, seed: int) -> list[Seen]:
    """The next training batches of a run, or some of another seed.

    Args:
        of: the run.
        root: folder of the photos; "" as the run has it.
        count: how many batches.
        seed: number that decides crops and random numbers.
    """
    data = of.data | ({"root": root} if root else {})
    source = data_pipelines.make_source(
        data, data["train_split"], classes=of.classes or None
    )
    stream = data_pipelines.make_train(
        data, source, reads="dense", seed=seed, start_step=of.step
    )
    key = jax.random.key(seed)
    seen = jax.jit(functools.partial(_seen, of))
    return [
        seen(jax.tree.map(jnp.asarray, batch), jax.random.fold_in(key, i))
        for i, batch in enumerate(itertools.islice(stream, count))
    ]


def _seen(of: Opened, batch: Any, key: jax.Array) -> Seen:
    colour_key, dropout_key = jax.random.split(key)
    colours = {
        f.name: getattr(of.colours, f.name) for f in dataclasses.fields(of.colours)
    }
    mean, std = of.recipe.mean, of.recipe.std
    image = segmentation.prepare(batch, colour_key, mean=mean, std=std, **colours)
    out, _ = common.train_pass(
        of.recipe.net, of.params, of.statistics, dropout_key, image, embed=True
    )
    labels = terms.on_grid(batch["mask"], out["embedding"].shape[1:3])
    scores = out["logits"].reshape(*labels.shape, -1)
    return Seen(batch["image"], out["embedding"], labels, scores)
