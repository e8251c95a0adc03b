"""Our loss parts against loops over images and classes in eager PyTorch, in turns.

    python -m benchmarks.losses --json benchmarks/results/losses_cpu.json

Sizes are those of the published configs; inputs are random, but for labels, which lie
in regions. "ppc" is the three contrasts of PPC with their gradient; "contrast" the
choice of anchors and their contrast in ContrastiveSeg with its gradient; "memory" what
its memory takes in of a batch. The loops are `benchmarks.torch_baseline.loops`, which
tests hold to the forms without them. Each side has a process of its own. What counts
are seconds of CPU, all threads together, which other work on the machine hardly
changes; PyTorch has one thread, as several would wait for each other around products
so small. Needs PyTorch.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.apart import Apart, own_stdout, serve
from benchmarks.facts import facts
from benchmarks.loss_parts import LOOPS, OURS, PARTS, Part
from benchmarks.race import ALLOCATOR, alternate, ratios, spread
from ppcjax import cli


def compare(part: str, *, blocks: int, steps: int) -> dict[str, Any]:
    """Runs both sides of a part in turns; what the JSON says of it."""
    program = [sys.executable, "-m", "benchmarks.losses", "--part", part, "--serve"]
    sides = [Apart(name, [*program, name], ALLOCATOR) for name in (OURS, LOOPS)]
    try:
        for side in sides:
            side.start()
        times = alternate(sides, blocks=blocks, steps=steps, until=float("inf"))
        found = ratios(times[OURS], times[LOOPS])
        ms = {name: statistics.median(values) for name, values in times.items()}
        peaks = {side.name: side.memory() for side in sides}
        losses = {side.name: side.loss for side in sides}
    finally:
        for side in sides:
            side.close()
    text = ", ".join(f"{name} {value:.2f} ms of CPU" for name, value in ms.items())
    print(f"{part:10} {text}: {spread(found, '.1f')} times as fast", flush=True)
    return {"block_ms": times, "peak_mib": peaks, "losses": losses, "ratios": found}


def main(argv: list[str] | None = None) -> None:
    """Prints a line for each part."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    add("--blocks", type=int, default=5, help="blocks of each side, in turns")
    add("--steps", type=int, default=5, help="computations of a block")
    add("--json", type=Path, help="file for all numbers")
    add("--serve", choices=(OURS, LOOPS), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        answers = own_stdout()
        if options.serve == OURS:
            import jax

            from ppcjax.train import step

            step.inline_on_cpus()
            jax.config.update("jax_platforms", "cpu")
        else:
            import torch

            torch.set_num_threads(1)
        serve(Part(options.part[0], options.serve), sys.stdin, answers)
        return
    found = {
        part: compare(part, blocks=options.blocks, steps=options.steps)
        for part in options.part
    }
    if options.json:
        head = facts("benchmarks.losses", argv)
        options.json.write_text(json.dumps(head | {"parts": found}, indent=1) + "\n")


if __name__ == "__main__":
    cli.one_line(main)
