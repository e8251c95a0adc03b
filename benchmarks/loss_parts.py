"""Loss parts at their published sizes, ours and as loops, for `benchmarks.losses`."""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

OURS, LOOPS = "ppcjax", "loops in torch"
TEMPERATURE, BASE = 0.1, 0.07
# Sizes of configs/ppc_voc.py, and of configs/contrastive_cityscapes.py on one device.
PPC = {"images": 8, "grid": (16, 16), "classes": 21, "dim": 128}
STREETS = {"images": 2, "grid": (128, 256), "classes": 19, "dim": 256}
ANCHORS = {"max_anchors": 1024, "max_views": 100}
SLOTS, EACH = 5000, 10  # of a class in either bank; pixels of an image and class


def regions(rng, images: int, grid, classes: int) -> np.ndarray:
    """Labels [B, h w] int32 in squares of an eighth of the grid."""
    small = rng.integers(0, classes, (images, 8, 8))
    steps = [side // 8 for side in grid]
    whole = small.repeat(steps[0], axis=1).repeat(steps[1], axis=2)
    return whole.reshape(images, -1).astype(np.int32)


def ppc_inputs() -> dict[str, Any]:
    """Maps and projections of two views [B, h, w, ...], and tags [B, C]."""
    rng = np.random.default_rng(0)
    shape = (PPC["images"], *PPC["grid"])
    tags = (rng.random((PPC["images"], PPC["classes"])) < 0.15).astype(np.float32)
    tags[:, 0] = 1.0
    views = [
        (
            rng.random((*shape, PPC["classes"]), np.float32),
            rng.standard_normal((*shape, PPC["dim"]), np.float32),
        )
        for _ in range(2)
    ]
    return {"views": views, "tags": tags, "count": int(np.prod(PPC["grid"]) * 0.125)}


def street_inputs() -> dict[str, Any]:
    """Unit embeddings [B, P, D], labels [B, P] and mispredicted cells [B, P]."""
    rng = np.random.default_rng(0)
    labels = regions(rng, STREETS["images"], STREETS["grid"], STREETS["classes"])
    keys = rng.standard_normal((*labels.shape, STREETS["dim"]), np.float32)
    keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
    return {"keys": keys, "labels": labels, "wrong": rng.random(labels.shape) < 0.3}


def _ours_ppc() -> Callable[[], Any]:
    import jax

    from ppcjax.methods import ppc_terms
    from ppcjax.nn.cam_net import CamOutput

    given = jax.device_put(ppc_inputs())

    @jax.jit
    @jax.value_and_grad
    def loss(projections, key):
        outputs = [
            CamOutput(maps, maps, projection)
            for (maps, _), projection in zip(given["views"], projections, strict=True)
        ]
        mining = ppc_terms.Mining.of(PPC["classes"], 0.1, 0.6)
        terms, _ = ppc_terms.contrasts(
            outputs, given["tags"], key, mining=mining, prototype_share=0.125
        )
        return sum(terms.values())

    projections = [projection for _, projection in given["views"]]
    return lambda: loss(projections, jax.random.key(0))


def _ours_contrast() -> Callable[[], Any]:
    import jax

    from ppcjax.ops import anchors, pixel_contrast

    given = jax.device_put(street_inputs())

    @jax.jit
    @jax.value_and_grad
    def loss(keys, key):
        labels = given["labels"]
        draws = anchors.draw(key, *labels.shape, STREETS["classes"])
        found = anchors.select(
            labels, given["wrong"], draws, rule="hard_easy", **ANCHORS
        )
        rows = keys.reshape(-1, keys.shape[-1])[found.cell]
        return pixel_contrast.contrast(
            rows,
            found.label,
            banks=(),
            with_anchors=True,
            temperature=TEMPERATURE,
            base_temperature=BASE,
        )

    return lambda: loss(given["keys"], jax.random.key(0))


def _ours_memory() -> Callable[[], Any]:
    import jax

    from ppcjax.ops import memory

    given = jax.device_put(street_inputs())
    many = {"num_classes": STREETS["classes"], "most": EACH}

    @functools.partial(jax.jit, donate_argnums=0)
    def remember(banks, key):
        regions = memory.region_vectors(
            given["keys"], given["labels"], many["num_classes"]
        )
        draws = jax.random.uniform(key, given["labels"].shape)
        pixels = memory.pixel_vectors(given["keys"], given["labels"], draws, **many)
        return [
            memory.push(bank, *vectors)
            for bank, vectors in zip(banks, (regions, pixels), strict=True)
        ]

    empty = functools.partial(memory.empty_bank, STREETS["classes"], SLOTS)
    banks = [jax.device_put(empty(STREETS["dim"], np.float32)) for _ in range(2)]

    def step():
        banks[:] = remember(banks, jax.random.key(0))
        return banks[0]["filled"].sum(), banks

    return step


def _theirs_ppc() -> Callable[[], Any]:
    import torch

    from benchmarks.torch_baseline import loops, ppc_terms
    from benchmarks.torch_baseline.cam_net import Maps

    given = ppc_inputs()
    tags = torch.from_numpy(given["tags"])
    maps = [
        [torch.from_numpy(x).movedim(-1, 1).contiguous() for x in view]
        for view in given["views"]
    ]

    def step():
        leaves = [projection.requires_grad_() for _, projection in maps]
        views = [
            ppc_terms.contrast_view(Maps(m, m, p), tags, PPC["grid"], 0.2)
            for (m, _), p in zip(maps, leaves, strict=True)
        ]
        found = loops.ppc_contrasts(
            views, count=given["count"], temperature=TEMPERATURE
        )
        loss = sum(found.values())
        return loss.detach(), torch.autograd.grad(loss, leaves)

    return step


def _theirs_contrast() -> Callable[[], Any]:
    import torch

    from benchmarks.torch_baseline import loops

    given = {k: torch.from_numpy(v) for k, v in street_inputs().items()}
    keys, labels = given["keys"].requires_grad_(), given["labels"].long()

    def step():
        most, views = ANCHORS.values()
        cell, of = loops.anchors(labels, given["wrong"], most=most, views=views)
        rows = keys.flatten(0, 1)[cell]
        loss = loops.contrast(rows, of, temperature=TEMPERATURE, base=BASE)
        return loss.detach(), torch.autograd.grad(loss, keys)

    return step


def _theirs_memory() -> Callable[[], Any]:
    import torch

    from benchmarks.torch_baseline import loops

    given = {k: torch.from_numpy(v) for k, v in street_inputs().items()}
    classes, labels = STREETS["classes"], given["labels"].long()
    banks = [
        {"slots": torch.zeros(classes, SLOTS, STREETS["dim"]), "next": [0] * classes}
        for _ in range(2)
    ]

    def step():
        loops.remember(*banks, given["keys"], labels, EACH)
        return torch.tensor(sum(banks[0]["next"])), banks

    return step


PARTS = {
    "ppc": (_ours_ppc, _theirs_ppc),
    "contrast": (_ours_contrast, _theirs_contrast),
    "memory": (_ours_memory, _theirs_memory),
}


class Part:
    """A side of `benchmarks.sides` that computes one loss part.

    part: key of PARTS.
    name: OURS or LOOPS.
    """

    program = None

    def __init__(self, part: str, name: str):
        self.make = PARTS[part][0 if name == OURS else 1]
        self.loss = None

    def start(self) -> float:
        """Makes the inputs and computes it once; seconds of CPU."""
        begin = time.process_time()
        self.step = self.make()
        self.run(1)
        return time.process_time() - begin

    def run(self, steps: int) -> float:
        """Computes it again and again; seconds of CPU, all threads together."""
        begin = time.process_time()
        for _ in range(steps):
            value, _ = found = self.step()
        for leaf in (value, *_leaves(found)):
            if hasattr(leaf, "block_until_ready"):
                leaf.block_until_ready()
        seconds = time.process_time() - begin
        self.loss = float(value)
        return seconds


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [tree]
