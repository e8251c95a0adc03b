"""Speed of the input pipeline of a config alone.

    python -m benchmarks.input --config configs/ppc_voc.py --step-ms 350

Prints images per second and, where the time of a step is given (benchmarks.step tells
it), whether the pipeline keeps up with it.
"""

import argparse
import itertools
import time
from typing import Any

import ml_collections

from benchmarks import config as configs
from ppcjax import cli, data_pipelines
from ppcjax.train.settings import reads_of


def measure(data: Any, *, reads: str, batches: int, warm_up: int = 3) -> float:
    """Images per second of the training batches of config.data.

    Args:
        data: config.data.
        reads: what the method reads.
        batches: number of timed batches.
        warm_up: batches before, which fill the queues.
    """
    source = data_pipelines.make_source(data, data.train_split, reads=reads)
    stream = data_pipelines.make_train(data, source, reads=reads, seed=0)
    for _ in itertools.islice(stream, warm_up):
        pass
    start = time.perf_counter()
    images = sum(len(batch["image"]) for batch in itertools.islice(stream, batches))
    return images / (time.perf_counter() - start)


def main(argv: list[str] | None = None) -> None:
    """Prints the speed and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a .py[:VARIANT] or .json")
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--step-ms", type=float, help="time of a training step")
    arguments = parser.parse_args(argv)
    settings = ml_collections.ConfigDict(configs.load(arguments.config))
    reads = reads_of(settings.method)
    rate = measure(settings.data, reads=reads, batches=arguments.batches)
    print(f"pipeline      {rate:.1f} images/s")
    if arguments.step_ms:
        needed = settings.data.batch_size / arguments.step_ms * 1e3
        verdict = "keeps up" if rate >= needed else "does NOT keep up"
        print(f"step needs    {needed:.1f} images/s: the pipeline {verdict}")


if __name__ == "__main__":
    cli.one_line(main)
