"""A method of a few parameters, and a program that trains it.

The loss couples all rows of a batch (batch statistics, a mean over valid rows), so it
comes out right only if the step sees the global batch.
"""

import argparse
import json
import os
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ppcjax.train import loop, mesh, optim
from ppcjax.train.watch import Watch
from ppcjax.types import IGNORE, Method, UserError

FEATURES, CLASSES, BATCH = 6, 3, 8


def method(*, ballast: int = 1, traces: list | None = None) -> Method:
    """`ballast` floats of dead weight; `traces` grows by one per trace of the loss."""

    def init(key, batch):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        shape = (batch["image"].shape[1], CLASSES)
        params = {
            "head": {"kernel": rng.standard_normal(shape, dtype=np.float32)},
            "ballast": rng.standard_normal(ballast, dtype=np.float32),
        }
        return params, {"mean": np.zeros(CLASSES, np.float32)}

    def loss(params, model_state, batch, key, step):
        if traces is not None:
            traces.append(step)
        logits = batch["image"] @ params["head"]["kernel"]  # [B, C]
        mean = logits.mean(0, keepdims=True)
        logits = (logits - mean) / jnp.sqrt(logits.var(0, keepdims=True) + 1e-3)
        logits += 0.1 * jax.random.normal(key, logits.shape)
        valid = batch["mask"] != IGNORE  # [B]
        nats = optax.softmax_cross_entropy_with_integer_labels(
            logits, jnp.where(valid, batch["mask"], 0)
        )
        value = jnp.sum(nats * valid) / jnp.maximum(valid.sum(), 1)
        value += 1e-3 * jnp.sum(jnp.tanh(params["ballast"]))
        state = {"mean": 0.9 * model_state["mean"] + 0.1 * mean[0]}
        return value, (state, {"loss/class": value})

    def predict(params, model_state, batch):
        return batch["image"] @ params["head"]["kernel"]

    return Method(init, loss, predict)


def batches_from(step, *, seed=7, poison_at=None, terminate_at=None, delay=0.0):
    """This process's rows of batch `step`, `step` + 1, ...

    Batch number `poison_at` holds a NaN, `terminate_at` comes with a SIGTERM.
    """
    rows = BATCH // jax.process_count()
    mine = slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)
    while True:
        rng = np.random.default_rng((seed, step))
        image = rng.standard_normal((BATCH, FEATURES), dtype=np.float32)
        mask = rng.integers(0, CLASSES, BATCH, dtype=np.int32)
        mask[rng.random(BATCH) < 0.4] = IGNORE
        if step == poison_at:
            image[0] = np.nan
        if step == terminate_at:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(delay)
        yield {"image": image[mine], "mask": mask[mine]}
        step += 1


def optimizer(steps: int) -> optax.GradientTransformation:
    return optim.make(lr=0.3, momentum=0.9, weight_decay=1e-3, power=0.9, steps=steps)


def score(params, model_state, step):
    kernel = jax.device_get(params["head"]["kernel"])
    return {"smallness": -float(np.abs(kernel).mean())}


def recorded(workdir: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl but for the speed."""
    rows = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in x.items() if k != "images_per_second"} for x in rows]


def fit(
    workdir: Path,
    *,
    steps: int,
    eval_every=0,
    ballast=1,
    delay=0.0,
    poison_at=None,
    terminate_at=None,
    **more,
) -> int:
    return loop.fit(
        method(ballast=ballast),
        optimizer(steps),
        lambda step: batches_from(
            step, delay=delay, poison_at=poison_at, terminate_at=terminate_at
        ),
        **{
            "steps": steps,
            "workdir": workdir,
            "seed": 0,
            "classes": ("background", "cat", "dog"),
            "log_every": 5,
            "checkpoint_every": 10,
            "watch": Watch(score, eval_every, keep_best=True) if eval_every else None,
            **more,
        },
    )


def main(argv) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--ballast", type=int, default=1)
    parser.add_argument("--checkpoint_every", type=int, default=10)
    parser.add_argument("--eval_every", type=int, default=0)
    arguments = parser.parse_args(argv)
    mesh.maybe_distributed()
    fit(**vars(arguments))


if __name__ == "__main__":
    import sys

    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
