"""A program that trains a small ContrastiveSeg on drawn squares, on any devices."""

import sys
from pathlib import Path

import jax
import numpy as np

from ppcjax import methods
from ppcjax.train import loop, mesh, optim
from ppcjax.types import IGNORE

CLASSES, BATCH, SIZE, STEPS = 4, 8, 32, 20
METHOD = {
    "name": "contrastive_seg",
    "mode": "mem_fixed",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "head": "v1",
    "head_settings": {"width": 8, "rate": 1, "dropout": 0.1},
    "projection_dim": 8,
    "warmup_steps": 5,
    "max_anchors": 64,
    "max_views": 4,
    "region_slots": 12,
    "pixel_slots": 50,
}


def batches_from(step: int):
    """This process's rows of batch `step`, `step` + 1, ..."""
    rows = BATCH // jax.process_count()
    mine = slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)
    while True:
        rng = np.random.default_rng((7, step))
        image = rng.integers(0, 60, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
        mask = np.zeros((BATCH, SIZE, SIZE), np.int32)
        for i in range(BATCH):
            label, y, x = rng.integers(1, CLASSES), *rng.integers(2, SIZE // 2, 2)
            mask[i, y - 1 : y + 13, x - 1 : x + 13] = IGNORE
            mask[i, y : y + 12, x : x + 12] = label
            image[i, y : y + 12, x : x + 12, label - 1] += 150
        valid = np.tile(np.int32([0, 0, SIZE, SIZE]), (BATCH, 1))
        yield {"image": image[mine], "mask": mask[mine], "valid": valid[mine]}
        step += 1


def main(workdir: str) -> None:
    mesh.maybe_distributed()
    jax.config.update("jax_numpy_rank_promotion", "raise")
    # Slow, so that rounding is not amplified into other signs and other anchors.
    optimizer = optim.make(
        lr=0.005, momentum=0.0, weight_decay=1e-4, power=0.9, steps=STEPS
    )
    loop.fit(
        methods.make(METHOD, CLASSES),
        optimizer,
        batches_from,
        steps=STEPS,
        workdir=Path(workdir),
        seed=0,
        classes=tuple(f"class{i}" for i in range(CLASSES)),
        config={"method": METHOD, "eval": {}},
        log_every=5,
        checkpoint_every=STEPS,
    )


if __name__ == "__main__":
    main(sys.argv[1])
