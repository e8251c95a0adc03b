"""Where the time of our training step goes on a CPU: seconds by kind of work.

    python -m benchmarks.profile --method ppc --batch 2 --crop 224

The step is that of `benchmarks.race`, with the allocator settings of commands and the
same random batch. A trace of some steps gives seconds for each operation of the
compiled program, and `benchmarks.kinds` tells what kind of work it is. "by the clock"
is what a step took while it was traced. It is less than the sum where operations of
several threads overlap, by a few percent, or more on a busy machine; what it has
beyond the sum is spent between them. The last line sets the FLOP of the step, had all
convolutions the compiler's form, against what one large matrix product reaches here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import attempts, kinds, race, race_settings, step
from benchmarks.facts import facts, machine
from ppcjax import cli
from ppcjax.types import UserError

LARGEST = 40  # operations that the JSON tells one by one


def own_seconds(events: Iterable[tuple[float, float, str]]) -> Counter[str]:
    """Seconds by name of one thread's operations, each without those inside of it.

    Args:
        events: start and duration in nanoseconds, and name; a loop has its body's
            operations within its own duration.
    """
    found: Counter[str] = Counter()
    around: list[tuple[float, str]] = []  # ends and names of what is still running
    for start, duration, name in sorted(events, key=lambda x: (x[0], -x[1])):
        while around and around[-1][0] <= start:
            around.pop()
        if around:
            # Of an operation that ends later than the one around it, what is inside.
            end, outer = around[-1]
            found[outer] -= min(duration, end - start) / 1e9
        found[name] += duration / 1e9
        around.append((start + duration, name))
    return found


def traced(side: Any, steps: int) -> tuple[Counter[str], float]:
    """Seconds of all operations of so many steps, by name, and by the clock.

    Args:
        side: ours of `benchmarks.sides`, ready.
        steps: how many are traced.
    """
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # it would take time of its own
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            clock = side.run(steps)
        (file,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(file))
    found: Counter[str] = Counter()
    for plane in data.planes:
        for thread in plane.lines:
            events = (
                (event.start_ns, event.duration_ns, name)
                for event in thread.events
                if (name := dict(event.stats).get("hlo_op"))
            )
            found.update(own_seconds(events))
    return found, clock


def profile(options: argparse.Namespace) -> dict[str, Any]:
    """Compiles and traces the step; what the JSON says of it.

    Args:
        options: those of the command line.
    """
    settings, classes = _settings(options)
    race.prepare(argparse.Namespace(device="cpu", tf32=False), ["jax"])
    side = race.make_side(race.OURS, options, settings, classes)
    with attempts.find(options.attempt).changes():
        side.start()
        side.run(1)
        seconds, clock = traced(side, options.steps)
    seconds = {name: value / options.steps for name, value in seconds.items()}
    flop = step.plain_flop(side.update, side.state, side.batch)
    known = kinds.operations(side.step.as_text())
    nothing = kinds.Operation("", "")
    largest = sorted(seconds, key=seconds.__getitem__, reverse=True)[:LARGEST]
    return {
        "clock_s": clock / options.steps,
        "operations_s": sum(seconds.values()),
        "flop": flop,
        "share": flop * options.steps / clock / step.matmul_rate(),
        "kinds_s": kinds.add_up(seconds, known),
        "largest": [
            {"name": name, "seconds": seconds[name]}
            | known.get(name, nothing)._asdict()
            for name in largest
        ],
    }


def table(found: Mapping[str, Any]) -> str:
    """Lines of kinds, the largest first, of what `profile` found."""
    total = found["operations_s"]
    rows = sorted(found["kinds_s"].items(), key=lambda row: -row[1])
    lines = [f"{'kind of work':32} s per step  percent"]
    lines += [f"{name:32} {x:10.3f} {100 * x / total:8.1f}" for name, x in rows if x]
    lines.append(f"{'all operations':32} {total:10.3f} {100:8.1f}")
    lines.append(f"{'a step by the clock':32} {found['clock_s']:10.3f}")
    rate = f"{found['flop'] / 1e9:,.0f} GFLOP in plain forms, at {found['share']:.0%}"
    return "\n".join([*lines, f"{rate} of the rate of matrix products"])


def _settings(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    return race_settings.read(
        options.method, dtype="float32", batch=options.batch, crop=options.crop
    )


def main(argv: list[str] | None = None) -> None:
    """Prints the table of one step."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--method", choices=list(race_settings.RACES), default="pixpro")
    add("--batch", type=int, help="images; the config's unless given")
    add("--crop", type=int, nargs="+", default=(), help="side, or rows and columns")
    add("--steps", type=int, default=2, help="steps that are traced")
    add("--attempt", default="", help="changes: " + ", ".join(attempts.ALL))
    add("--json", type=Path, help="file for all numbers")
    add("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    attempt = attempts.find(options.attempt)
    if options.steps < 1:
        raise UserError(f"--steps {options.steps}: take at least 1")
    if not options.inside:
        # The allocator reads its settings only when a process starts.
        command = [sys.executable, "-m", "benchmarks.profile", *argv, "--inside"]
        environment = os.environ | race.ALLOCATOR | attempt.environment
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        return
    settings, _ = _settings(options)
    data = settings["data"]
    shape = f"{data['batch_size']} x {data['crop']}"
    title = f"{options.method}, {shape}, {machine()}"
    title += f"; attempt: {options.attempt}" if options.attempt else ""
    print(title, flush=True)
    found = profile(options)
    print(table(found))
    if options.json:
        argv = [word for word in argv if word != "--inside"]
        head = facts("benchmarks.profile", argv) | {
            "allocator": race.ALLOCATOR | attempt.environment,
            "attempt": attempt.says,
            "settings": settings,
        }
        text = json.dumps(head | found, indent=1, default=str)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    cli.one_line(main)
