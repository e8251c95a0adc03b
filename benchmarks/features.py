"""Photos per second of a frozen vision transformer, ours against plain PyTorch.

    python -m benchmarks.features --backbone vit_s14 --side 392 --batch 4

Both sides turn the same random photos, normalised and in memory, into tokens of their
patches, float32, without gradients. They take turns on a CPU as in `benchmarks.race`,
each in a process of its own with the same allocator settings. Per side: ms per batch
as the median of the blocks and their range, photos per second, and the most that the
process held; then how many times as many photos per second ours takes, block by block.
Reading photos from disk is no part of it. Needs PyTorch.

Where other programs are busy, the wall's clock says more of them than of the sides.
--clock cpu counts seconds of the processor; as threads that wait for each other count
as well, it is for one core:

    taskset -c 0 python -m benchmarks.features --clock cpu
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apart import Apart, own_stdout, serve
from benchmarks.facts import facts, machine
from benchmarks.race import ALLOCATOR, OURS, alternate, prepare, ratios, spread, start
from ppcjax import cli
from ppcjax.nn import backbones
from ppcjax.nn.vit import VisionTransformer
from ppcjax.types import UserError

THEIRS = "torch"
SETTINGS = {"positions": "bicubic"}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def images(options: argparse.Namespace) -> np.ndarray:
    """[B, H, W, 3] float32, the same on both sides."""
    shape = (options.batch, options.side, options.side, 3)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def network(name: str) -> VisionTransformer:
    """Our backbone of that name.

    Raises:
        UserError: it is no vision transformer.
    """
    module, _ = backbones.make(name)
    if not isinstance(module, VisionTransformer):
        raise UserError(
            f"--backbone={name}: give a vision transformer, such as vit_s14"
        )
    return backbones.make(name, SETTINGS)[0]


class Ours:
    """Forward passes of ours, see `benchmarks.sides`; the loss is none."""

    def __init__(self, options: argparse.Namespace):
        self.name, self.options = OURS, options
        self.loss = self.program = None

    def start(self) -> float:
        """Compiles the pass and takes one; seconds."""
        import jax

        from ppcjax.train import step

        step.inline_on_cpus()
        module = network(self.options.backbone)
        image = jax.device_put(images(self.options))
        params = jax.jit(module.init)(jax.random.key(0), image[:1])
        begin = time.perf_counter()
        tokens = jax.jit(lambda params, x: module.apply(params, x)["embedding"])
        self.once = tokens.lower(params, image).compile()
        self.given = params, image
        self.run(1)
        return time.perf_counter() - begin

    def run(self, steps: int) -> float:
        """Takes passes one after the other; seconds until the last is done."""
        import jax

        clock = CLOCKS[self.options.clock]
        begin = clock()
        for _ in range(steps):
            jax.block_until_ready(self.once(*self.given))
        return clock() - begin


class Theirs:
    """Forward passes of `benchmarks.torch_baseline.vit`, see `benchmarks.sides`."""

    def __init__(self, options: argparse.Namespace):
        self.name, self.options = THEIRS, options
        self.loss = self.program = None

    def start(self) -> float:
        """Makes the network and takes a pass; seconds."""
        import torch

        from benchmarks.torch_baseline import vit

        torch.manual_seed(0)
        like = network(self.options.backbone)
        self.module = vit.VisionTransformer(
            like.patch,
            like.width,
            like.depth,
            like.heads,
            like.grid,
            layer_scale=like.layer_scale,
        ).eval()
        given = images(self.options).transpose(0, 3, 1, 2)
        self.images = torch.from_numpy(np.ascontiguousarray(given))
        return self.run(1)

    def run(self, steps: int) -> float:
        """Takes passes one after the other; seconds until the last is done."""
        import torch

        clock = CLOCKS[self.options.clock]
        begin = clock()
        with torch.inference_mode():
            for _ in range(steps):
                self.module(self.images)
        return clock() - begin


def race(sides: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Runs both sides and prints what was found; what the JSON says of it.

    Args:
        sides: ours comes first.
        options: "batch", "blocks", "steps" and "limit" of the command line.

    Raises:
        UserError: one could not start.
    """
    begin = time.monotonic()
    ready, records = start(sides)
    if len(ready) < len(sides):
        raise UserError("a side could not start; see above")
    times = alternate(
        ready, blocks=options.blocks, steps=options.steps, until=begin + options.limit
    )
    for side in ready:
        ms = times[side.name]
        rates = [1e3 * options.batch / one for one in ms]
        records[side.name] |= {"block_ms": ms, "photos_per_s": rates}
        records[side.name]["peak_mib"] = side.memory()
        print(
            f"{side.name:8} {spread(ms, '.0f')} ms/batch  {spread(rates, '.2f')} "
            f"photos/s  peak {records[side.name]['peak_mib']:,.0f} MiB",
            flush=True,
        )
    found = ratios(*(times[side.name] for side in ready))
    print(f"ours over PyTorch: {spread(found, '.2f')} times the photos/s")
    return {"sides": records, "ratios": found}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--backbone", default="vit_s14", help="one of vit_s16, vit_s8, vit_s14, ...")
    add("--side", type=int, default=392, help="of the photos, whole patches")
    add("--batch", type=int, default=4, help="photos at once")
    add("--steps", type=int, default=3, help="batches of a block")
    add("--blocks", type=int, default=6, help="blocks of each side, in turns")
    add("--clock", choices=CLOCKS, default="wall", help="what seconds are")
    add("--limit", type=float, default=180.0, help="seconds; then no new block begins")
    add("--json", type=Path, help="file for all numbers")
    add("--serve", choices=(OURS, THEIRS), help=argparse.SUPPRESS)  # told by lines
    return parser


def main(argv: list[str] | None = None) -> None:
    """Runs one race."""
    argv = sys.argv[1:] if argv is None else argv
    options = arguments().parse_args(argv)
    options.device, options.tf32 = "cpu", False
    if options.side % network(options.backbone).patch:
        raise UserError(f"--side={options.side} is no multiple of the patch")
    if options.serve:
        answers = own_stdout()
        ours = options.serve == OURS
        prepare(options, ["jax" if ours else "torch"])
        serve((Ours if ours else Theirs)(options), sys.stdin, answers)
        return
    if importlib.util.find_spec("torch") is None:
        raise UserError("torch is not installed: pip install -r requirements-torch.txt")
    shape = f"{options.batch} x {options.side} x {options.side}"
    print(f"{options.backbone}, float32, {shape}, {machine()}", flush=True)
    program = [sys.executable, "-m", "benchmarks.features", *argv, "--serve"]
    sides = [Apart(name, [*program, name], ALLOCATOR) for name in (OURS, THEIRS)]
    try:
        found = race(sides, options)
    finally:
        for side in sides:
            side.close()
    if options.json:
        head = facts("benchmarks.features", argv) | {"allocator": ALLOCATOR}
        options.json.write_text(json.dumps(head | found, indent=1) + "\n")


if __name__ == "__main__":
    cli.one_line(main)
