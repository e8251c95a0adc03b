"""Our training step against a plain PyTorch one, in turns, on the same random batch.

    python -m benchmarks.race --method pixpro --device gpu --dtype bfloat16 --batch 64

Both sides do the same work from the photos on: forward passes, loss, gradients,
update. Random colours, which PyTorch programs leave to the loader, are off (--colours
puts them back into our step). float32 means that: TF32 is off on both sides, unless
--tf32. Per side: ms per step as the median of the blocks and their range, images per
second, memory, seconds until the first step is possible; then how many times as many
images per second ours takes, block by block. Needs PyTorch, and no ml_collections:
settings are those of the configs, stored by

    python -m benchmarks.race --write_settings

Memory on a GPU is the most that each framework had allocated. On a CPU, --memory runs
each side again in a process of its own and takes what that had at most, all included.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import race_settings
from benchmarks import sides as racers
from ppcjax import cli
from ppcjax.types import UserError

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "triton")


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


def prepare(options: argparse.Namespace) -> str:
    """Sets devices and precision of both frameworks; the name of the device.

    Raises:
        UserError: PyTorch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UserError("torch is not installed: pip install -r requirements-torch.txt")
    # Both share the card.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import torch

    if options.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    precision = "tensorfloat32" if options.tf32 else "highest"
    jax.config.update("jax_default_matmul_precision", precision)
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = True
    if options.device == "cpu":
        cores = len(os.sched_getaffinity(0))
        torch.set_num_threads(cores)
        return f"{platform.processor() or platform.machine()}, {cores} cores"
    return jax.devices("gpu")[0].device_kind


def make_sides(options: argparse.Namespace, settings: Any, classes: int) -> list[Any]:
    """The sides that the command line asks for."""
    from benchmarks.step import random_batch

    batch = random_batch(settings["data"], num_classes=classes)
    sides = [racers.Ours(settings, batch, classes)] if options.only != "torch" else []
    if options.only == "ours":
        return sides
    how = {"device": "cuda" if options.device == "gpu" else "cpu"}
    how["dtype"] = settings["method"]["dtype"]
    for layout in options.layouts:
        for compiled in (False, True) if options.compile else (False,):
            both = {"layout": layout, "compiled": compiled}
            sides.append(racers.Theirs(settings, batch, classes, **how, **both))
    return sides


def process_memory(argv: Sequence[str]) -> dict[str, float]:
    """MiB that a process of each side alone had at most, on the same settings."""
    found = {}
    for side in ("ours", "torch"):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            command = [sys.executable, "-m", "benchmarks.race", *argv]
            command += ["--only", side, "--blocks", "1", "--steps", "1"]
            command += ["--json", file.name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found[side] = json.loads(Path(file.name).read_text())["process_mib"]
    return found


def facts(options: argparse.Namespace, device: str, argv: Sequence[str]) -> dict:
    """What a reader needs to know of a result."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = os.environ.get("PPCJAX_COMMIT")
    if commit is None:
        command = ["git", "rev-parse", "--short", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        commit = found.stdout.strip() or None
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {
        "compilation_cache": os.environ.get("JAX_COMPILATION_CACHE_DIR"),
        "command": "python -m benchmarks.race " + " ".join(argv),
        "commit": commit,
        "device": device,
        "options": vars(options),
        "versions": versions,
        "process_mib": peak,
    }


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
    add("--memory", action="store_true", help="memory of processes, one a side")
    add("--json", type=Path, help="file for all numbers")
    add("--write_settings", action="store_true", help="store those of the configs")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Runs one race."""
    argv = sys.argv[1:] if argv is None else argv
    options = arguments().parse_args(argv)
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
    device = prepare(options)
    data = settings["data"]
    precision = " tf32" if options.tf32 else ""
    shape = f"{data['batch_size']} x {data['crop']}"
    print(
        f"{options.method}, {options.dtype}{precision}, {shape}, {device}", flush=True
    )
    sides = make_sides(options, settings, classes)
    found = race(sides, options, data["batch_size"])
    if options.memory:
        memory = process_memory([x for x in argv if x != "--memory"])
        found["process_mib_alone"] = memory
        print("processes alone:", ", ".join(f"{k} {v:,.0f}" for k, v in memory.items()))
    if options.json:
        found = facts(options, device, argv) | {"settings": settings} | found
        options.json.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    cli.one_line(main)
