"""Ways to sort an image's cells by class, which ContrastiveSeg's choices wait for.

    python -m benchmarks.ordering --json benchmarks/results/ordering_cpu.json

Cells of a class come in order of kind, well predicted ones last, and of a random
number. All ways give the same order; seconds are those of CPU, all threads together.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import loss_parts
from benchmarks.facts import facts
from ppcjax import cli


def ways(classes: int) -> dict[str, Callable]:
    """Functions of (slot, late, draw), each [P], to the order [P], by what they do.

    Args:
        classes: C; slots are 0 to C, the last for cells of none.
    """
    import jax
    import jax.numpy as jnp

    def three_keys(slot, late, draw):
        return jnp.lexsort((draw, late, slot))

    def two_keys(slot, late, draw):
        return jnp.lexsort((draw, 2 * slot + late))

    def one_number(slot, late, draw):
        """Exact for draws of 23 bits, as JAX has them, and at most 255 classes."""
        drawn = (draw * 2**23).astype(jnp.uint32)
        return jnp.argsort((2 * slot + late).astype(jnp.uint32) << 23 | drawn)

    def counted(slot, late, draw):
        """Sorted by draw alone; then each cell's place in its class is counted."""
        by_draw = jnp.argsort(draw)
        kind = (2 * slot + late)[by_draw]
        member = kind[:, None] == jnp.arange(2 * classes + 2)[None]
        before = jnp.cumsum(member.astype(jnp.int32), axis=0)
        sizes = before[-1]
        start = jnp.cumsum(sizes) - sizes
        place = start[kind] + jnp.take_along_axis(before, kind[:, None], 1)[:, 0] - 1
        return jnp.zeros_like(by_draw).at[place].set(by_draw, unique_indices=True)

    found = three_keys, two_keys, one_number, counted
    return {way.__name__: jax.jit(jax.vmap(way)) for way in found}


def inputs() -> tuple:
    """Slots, which cells come late, random numbers: [B, P] at Cityscapes' sizes."""
    import jax

    given = loss_parts.street_inputs()
    draw = jax.random.uniform(jax.random.key(0), given["labels"].shape)
    return jax.device_put(given["labels"]), jax.device_put(~given["wrong"]), draw


def timed(way: Callable, given: tuple, *, blocks: int, steps: int) -> list[float]:
    """Milliseconds of CPU of an order of the whole batch, a number for each block."""
    way(*given).block_until_ready()
    found = []
    for _ in range(blocks):
        begin = time.process_time()
        for _ in range(steps):
            way(*given).block_until_ready()
        found.append(1e3 * (time.process_time() - begin) / steps)
    return found


def main(argv: list[str] | None = None) -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--blocks", type=int, default=5, help="blocks of each way")
    add("--steps", type=int, default=10, help="orders of a block")
    add("--json", type=Path, help="file for all numbers")
    options = parser.parse_args(argv)
    import jax

    jax.config.update("jax_platforms", "cpu")
    given, times = inputs(), {}
    for name, way in ways(loss_parts.STREETS["classes"]).items():
        times[name] = timed(way, given, blocks=options.blocks, steps=options.steps)
        print(f"{name:12} {statistics.median(times[name]):.1f} ms of CPU", flush=True)
    if options.json:
        head = facts("benchmarks.ordering", argv or [])
        options.json.write_text(json.dumps(head | {"block_ms": times}, indent=1) + "\n")


if __name__ == "__main__":
    cli.one_line(main)
