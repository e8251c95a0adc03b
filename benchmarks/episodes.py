"""Speed of episodes: of the input pipeline, of training and of evaluation.

    python -m benchmarks.episodes --config configs/panet_shapes.py

Prints episodes per second; the network has random weights, which costs the same.
"""

import argparse
import itertools
import time
from collections.abc import Iterable
from typing import Any

import jax
import ml_collections
import numpy as np

from benchmarks import config as configs
from benchmarks.step import random_episodes
from ppcjax import cli, data_pipelines, methods
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.train import mesh as meshes
from ppcjax.train import optim
from ppcjax.train.step import create_state, make_step
from ppcjax.types import UserError


def per_second(ticks: Iterable[Any], *, count: int, each: int, warm_up: int) -> float:
    """Episodes per second of an iterator that yields `each` of them at a time."""
    ticks = iter(ticks)
    for _ in itertools.islice(ticks, warm_up):
        pass
    start = time.perf_counter()
    for _ in itertools.islice(ticks, count):
        pass
    return count * each / (time.perf_counter() - start)


def training(config: Any, batch: dict[str, np.ndarray], method: Any):
    """Yields after each update on one batch."""
    mesh = meshes.make_mesh()
    optimizer = optim.make(steps=config.steps, **config.optim)
    state = create_state(method, optimizer, jax.random.key(0), batch, mesh)
    step = make_step(method, optimizer, mesh, jax.random.key(1))
    batch = jax.device_put(batch, meshes.sharded(mesh))
    while True:
        state, scalars = step(state, batch)
        jax.block_until_ready(scalars)
        yield


def predicting(batch: dict[str, np.ndarray], method: Any):
    """Yields after each prediction of one batch."""
    params, model_state = method.init(jax.random.key(0), batch)
    predict = jax.jit(method.predict)
    params, model_state, batch = jax.device_put((params, model_state, batch))
    while True:
        jax.block_until_ready(predict(params, model_state, batch))
        yield


def main(argv: list[str] | None = None) -> None:
    """Prints the speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a .py[:VARIANT] or .json")
    parser.add_argument("--batches", type=int, default=20)
    arguments = parser.parse_args(argv)
    config = ml_collections.ConfigDict(configs.load(arguments.config))
    if "frozen" in config:
        raise UserError(
            f"{arguments.config}: a frozen network looks at the photos first, which is "
            "not measured here; `python -m benchmarks.step` has the step behind it"
        )
    data, count = config.data, arguments.batches
    source = data_pipelines.make_source(data, data.train_split)
    stream = data_pipelines.make_train(data, source, reads="episodes", seed=0)
    rows = data.batch_size
    rate = per_second(stream, count=count, each=rows, warm_up=3)
    print(f"input            {rate:7.1f} episodes/s")
    method = methods.make(config.method, len(source.classes))
    ticks = training(config, next(stream), method)
    rate = per_second(ticks, count=count, each=rows, warm_up=2)
    print(f"training         {rate:7.1f} episodes/s, {rows} at a time")
    for shot in config.eval.shots:
        batch = random_episodes(Shape(1, shot, 1), data.crop, 4)
        rate = per_second(predicting(batch, method), count=count, each=4, warm_up=2)
        print(f"{shot}-shot testing   {rate:7.1f} episodes/s, 4 at a time")


if __name__ == "__main__":
    cli.one_line(main)
