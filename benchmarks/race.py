"""Our training step against a plain PyTorch one, in turns, on the same random batch.

    python -m benchmarks.race --method pixpro --device gpu --dtype bfloat16 --batch 64

Both sides do the same work from the photos on: forward passes, loss, gradients,
update. Random colours, which PyTorch programs leave to the loader, are off (--colours
puts them back into our step). float32 means that: TF32 is off on both sides, unless
--tf32. Per side: ms per step as the median of the blocks and their range, images (of
few-shot methods: episodes) per second, memory, seconds until the first step is
possible; then how many times as many images per second ours takes, block by block.
Needs PyTorch, and no ml_collections: settings are those of the configs, stored by

    python -m benchmarks.race --write_settings

On a CPU each side has a process of its own, both with the same allocator settings, and
memory is the most that this process held, libraries and all. On a GPU both share one
process, and memory is the most that each framework had allocated. --attempt NAME
changes our side on a CPU, see `benchmarks.attempts`.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import attempts, race_settings
from benchmarks import sides as racers
from benchmarks.apart import Apart, own_stdout, serve
from benchmarks.facts import cores, facts, machine
from ppcjax import cli
from ppcjax.console import allocator
from ppcjax.types import UserError

OURS = "ppcjax"
ALLOCATOR = {allocator.TUNABLES: allocator.SETTINGS}  # as our commands start


def alternate(
    sides: Sequence[Any], *, blocks: int, steps: int, until: float
) -> dict[str, list[float]]:
    """Milliseconds per step of each side, by name, a number for each block.

    Args:
        sides: they run in this order, block by block.
        blocks: blocks of each side.
        steps: steps of a block.
        until: `time.monotonic` after which no new round begins, but for the first two.
    """
    found = {side.name: [] for side in sides}
    for number in range(blocks):
        if number >= 2 and time.monotonic() > until:
            break
        for side in sides:
            found[side.name].append(1e3 * side.run(steps) / steps)
    return found


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as fast ours was than theirs, block by block."""
    return [b / a for a, b in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], form: str) -> str:
    """Median and range, such as "12.1 (11.8 .. 12.9)"."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({low:{form}} .. {high:{form}})"


def start(sides: Sequence[Any]) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Makes sides ready: those that could be, and a record of each by name."""
    ready, records = [], {}
    for side in sides:
        try:
            seconds = side.start()
        except Exception as error:  # such as too little memory: the others still run
            text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            records[side.name] = {"error": text}
            print(f"{side.name}: {text}", flush=True)
            continue
        ready.append(side)
        records[side.name] = {"compile_s": seconds}
        print(f"{side.name}: ready after {seconds:.1f} s", flush=True)
    return ready, records


def race(sides: Sequence[Any], options: argparse.Namespace, images: int) -> dict:
    """Runs sides and prints a line for each; what the JSON says of them.

    Args:
        sides: ours comes first.
        options: "blocks", "steps" and "limit" of the command line.
        images: images of a step.
    """
    begin = time.monotonic()
    ready, records = start(sides)
    times = alternate(
        ready, blocks=options.blocks, steps=options.steps, until=begin + options.limit
    )
    for side in ready:
        ms = times[side.name]
        records[side.name] |= {
            "block_ms": ms,
            "step_ms": statistics.median(ms),
            "images_per_s": 1e3 * images / statistics.median(ms),
            "peak_mib": side.memory(),
            "program_mib": side.program,
            "loss": side.loss,
        }
        print(line(side.name, records[side.name]), flush=True)
    ours, *others = [side.name for side in sides]
    found = {
        name: ratios(times[ours], times[name])
        for name in others
        if ours in times and name in times
    }
    for name, values in found.items():
        print(f"ours over {name}: {spread(values, '.2f')} times the images/s")
    return {"sides": records, "ratios": found}


def line(name: str, record: Mapping[str, Any]) -> str:
    """A side's line of the table."""
    peak = record["peak_mib"]
    memory = "n/a" if peak is None else f"{peak:,.0f} MiB"
    if record["program_mib"] is not None:
        memory += f" (program {record['program_mib']:,.0f})"
    return (
        f"{name:22} {spread(record['block_ms'], '.1f')} ms/step  "
        f"{record['images_per_s']:.1f} images/s  peak {memory}  "
        f"compile {record['compile_s']:.1f} s  loss {record['loss']:.4g}"
    )


def prepare(options: argparse.Namespace, frameworks: Sequence[str]) -> str:
    """Sets device and precision of frameworks in this process; the name of the device.

    Args:
        options: "device" and "tf32" of the command line.
        frameworks: "jax", "torch" or both.
    """
    # Both share the card.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    on_cpu = options.device == "cpu"
    if "torch" in frameworks:
        import torch

        torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = options.tf32
        torch.backends.cudnn.benchmark = True
        if on_cpu:
            torch.set_num_threads(cores())
    if "jax" in frameworks:
        import jax

        if on_cpu:
            jax.config.update("jax_platforms", "cpu")
        precision = "tensorfloat32" if options.tf32 else "highest"
        jax.config.update("jax_default_matmul_precision", precision)
        if not on_cpu:
            return jax.devices("gpu")[0].device_kind
    return machine()


def names(options: argparse.Namespace) -> list[str]:
    """Names of the sides that the command line asks for, ours first."""
    found = [] if options.only == "torch" else [OURS]
    if options.only != "ours":
        for layout in options.layouts:
            found.append(f"torch {layout}")
            found += [f"torch {layout} compiled"] if options.compile else []
    return found


def make_side(
    name: str, options: argparse.Namespace, settings: Any, classes: int
) -> Any:
    """A side of `names`, in this process."""
    from benchmarks.step import random_batch

    batch = random_batch(settings["data"], num_classes=classes)
    if name == OURS:
        return racers.Ours(settings, batch, classes)
    _, layout, *compiled = name.split()
    return racers.Theirs(
        settings,
        batch,
        classes,
        device="cuda" if options.device == "gpu" else "cpu",
        dtype=settings["method"]["dtype"],
        layout=layout,
        compiled=bool(compiled),
    )


def make_sides(
    options: argparse.Namespace, argv: Sequence[str], settings: Any, classes: int
) -> list[Any]:
    """All sides: on a CPU in processes of their own, on a GPU in this one."""
    if options.device == "gpu":
        return [make_side(name, options, settings, classes) for name in names(options)]
    program = [sys.executable, "-m", "benchmarks.race", *argv, "--serve"]
    more = {OURS: attempts.find(options.attempt).environment}  # theirs stays as it is
    return [
        Apart(name, [*program, name], {**ALLOCATOR, **more.get(name, {})})
        for name in names(options)
    ]


def title(options: argparse.Namespace, data: Mapping[str, Any], device: str) -> str:
    """The first line: what is raced, on what."""
    precision = " tf32" if options.tf32 else ""
    shape = f"{data['batch_size']} x {data['crop']}"
    text = f"{options.method}, {options.dtype}{precision}, {shape}, {device}"
    return f"{text}; attempt: {options.attempt}" if options.attempt else text


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--method", choices=list(race_settings.RACES), default="pixpro")
    add("--device", choices=("cpu", "gpu"), default="cpu")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    add("--tf32", action="store_true", help="float32 products in TF32, both sides")
    add("--batch", type=int, help="images; the config's unless given")
    add("--crop", type=int, nargs="+", default=(), help="side, or rows and columns")
    add("--steps", type=int, default=5, help="steps of a block")
    add("--blocks", type=int, default=5, help="blocks of each side, in turns")
    add("--limit", type=float, default=600.0, help="seconds; then no new block begins")
    add("--layouts", nargs="+", choices=("nhwc", "nchw"), default=["nhwc"])
    add("--compile", action="store_true", help="torch.compile as one more side")
    add("--colours", action="store_true", help="our step with its random colours")
    add("--only", choices=("ours", "torch"), help="one side alone")
    add("--attempt", default="", help="our side changed: " + ", ".join(attempts.ALL))
    add("--json", type=Path, help="file for all numbers")
    add("--serve", default="", help=argparse.SUPPRESS)  # one side, told by lines
    add("--write_settings", action="store_true", help="store those of the configs")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Runs one race."""
    argv = sys.argv[1:] if argv is None else argv
    options = arguments().parse_args(argv)
    attempts.check(options.attempt, options.device, options.only)
    if options.write_settings:
        race_settings.write()
        return
    settings, classes = race_settings.read(
        options.method,
        dtype=options.dtype,
        batch=options.batch,
        crop=options.crop,
        colours=options.colours,
    )
    if options.serve:
        answers = own_stdout()
        ours = options.serve == OURS
        prepare(options, ["jax" if ours else "torch"])
        side = make_side(options.serve, options, settings, classes)
        with attempts.find(options.attempt if ours else "").changes():
            serve(side, sys.stdin, answers)
        return
    if options.only != "ours" and importlib.util.find_spec("torch") is None:
        raise UserError("torch is not installed: pip install -r requirements-torch.txt")
    on_gpu = options.device == "gpu"
    device = prepare(options, ["jax", "torch"]) if on_gpu else machine()
    data = settings["data"]
    print(title(options, data, device), flush=True)
    sides = make_sides(options, argv, settings, classes)
    try:
        found = race(sides, options, data["batch_size"])
    finally:
        for side in sides:
            side.close()
    if options.json:
        head = facts("benchmarks.race", argv) | {
            "compilation_cache": os.environ.get("JAX_COMPILATION_CACHE_DIR"),
            "device": device,
            "options": vars(options),
            "allocator": None if on_gpu else ALLOCATOR,
            "attempt": attempts.find(options.attempt).says,
            "settings": settings,
        }
        text = json.dumps(head | found, indent=1, default=str)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    cli.one_line(main)
