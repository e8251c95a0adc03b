"""The training step of a config compiled for TPUs that are not there.

    python -m benchmarks.aot --config configs/ppc_voc.py --topology v5e:16x16

Prints what the compiler of TPUs says of the step: bytes and FLOP per chip, and what
travels between chips. The global batch is that of a chip times the chips. Needs no TPU,
but its compiler: pip install "jax[tpu]".

    python -m benchmarks.aot --published    all published rows, on 256, 16 and 1 chip
    python -m benchmarks.aot --table        what was found, as a table

Each compile is a process with a time limit, whose result stays in
benchmarks/results/aot, also where it failed; it is not compiled again but with --again.
"""

import argparse
import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

from benchmarks import config as configs
from benchmarks.aot import jobs, rows, table
from ppcjax import cli
from ppcjax.types import UserError

EFFORT = -1.0


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="a .py[:VARIANT] or .json")
    what.add_argument("--published", action="store_true", help="all published rows")
    what.add_argument("--table", action="store_true", help="print what was found")
    add = parser.add_argument
    add("--topology", nargs="+", default=None, help="chips, such as v5e:16x16")
    add("--batch_per_chip", type=int, help="instead of the row's or the config's")
    add("--num_classes", type=int, help="instead of the row's, or 21")
    add("--effort", type=float, default=EFFORT, help="of the compiler, -1 to 1")
    add("--limit", type=float, default=3600.0, help="seconds of a compile")
    add("--again", action="store_true", help="compile what has a result, too")
    add("--hlo", type=Path, help="folder for the compiled program's text")
    return parser


def job_of(text: str, topology: str, options: argparse.Namespace) -> jobs.Job:
    """The job of a config, its settings those of the published row if it is one.

    Raises:
        UserError: there is no such config or topology, or a number is out of range.
    """
    for name in ("batch_per_chip", "num_classes", "limit"):
        if (value := getattr(options, name)) is not None and value <= 0:
            raise UserError(f"--{name}={value} must be above 0")
    if not -1 <= options.effort <= 1:
        raise UserError(f"--effort={options.effort:g} must be from -1 to 1")
    if not re.fullmatch(r"\w+:\d+(x\d+){1,2}", topology):
        raise UserError(f"topology {topology!r} must be like v5e:16x16")
    row = rows.named(re.sub(r"\.py\b", "", Path(text).name))
    data = configs.load(text)["data"]
    return jobs.Job(
        text,
        topology,
        classes=options.num_classes or (row.classes if row else 21),
        batch_per_chip=options.batch_per_chip
        or (row.each if row else data["batch_size"]),
        effort=options.effort,
    )


def command_of(job: jobs.Job, options: argparse.Namespace) -> str:
    """The command line that repeats one job."""
    words = ["python", "-m", "benchmarks.aot", "--config", job.config]
    words += ["--topology", job.topology, "--batch_per_chip", str(job.batch_per_chip)]
    words += ["--num_classes", str(job.classes), f"--effort={job.effort:g}"]
    return shlex.join([*words, "--limit", f"{options.limit:g}"])


def line(job: jobs.Job, record: dict[str, Any]) -> str:
    """What was found, for a terminal."""
    if "failed" in record:
        return f"{job.name}: {record['failed']}"
    moved = ", ".join(
        f"{found['count']} {kind} of {found['bytes'] / 2**20:.1f} MiB"
        for kind, found in record["collectives"].items()
    )
    return (
        f"{job.name}: {record['chips']} x {record['chip']}, "
        f"batch {record['global_batch']}, "
        f"{table.program_bytes(record) / 2**20:,.0f} MiB and "
        f"{record['flop'] / 1e9:,.1f} GFLOP per chip; {moved or 'nothing travels'}; "
        f"compiled in {record['compile_s']:.0f} s"
    )


def main(argv: list[str] | None = None) -> None:
    """Compiles what has no result yet, or prints the table."""
    parser = arguments()
    options = parser.parse_args(argv)
    if options.table:
        if vars(options) != vars(parser.parse_args(["--table"])):
            raise UserError("--table prints what is there: it has no other option")
        print(table.markdown(jobs.RESULTS))
        return
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            "libtpu, the compiler of TPUs, is not installed: pip install 'jax[tpu]'"
        )
    texts = [options.config]
    if options.published:
        texts = [row.path for row in rows.PUBLISHED]
    for text in texts:
        for topology in options.topology or rows.TOPOLOGIES:
            one(job_of(text, topology, options), options)


def one(job: jobs.Job, options: argparse.Namespace) -> None:
    """Compiles a job that has no result yet, and says what was found."""
    file = job.file(jobs.RESULTS)
    if not options.again and jobs.is_done(job, file, options.limit):
        print(f"{job.name}: has a result; --again compiles it again", flush=True)
        return

    def compile_in(job, limit):
        text = options.hlo and options.hlo.resolve() / f"{job.name}.txt"
        return jobs.in_process(job, limit, *([f"--hlo={text}"] if text else []))

    command = command_of(job, options)
    record = jobs.run(
        job, file, limit=options.limit, command=command, compile_in=compile_in
    )
    print(line(job, record), flush=True)


if __name__ == "__main__":
    cli.one_line(main)
