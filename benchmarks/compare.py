"""Evaluated runs side by side, repetitions with other seeds taken together.

    python -m benchmarks.compare runs/ppc_shapes*

Prints a Markdown table: per config the mean IoU at each threshold, in percent, as
mean +- sample deviation over the runs of that config.
"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

from ppcjax import cli
from ppcjax.types import UserError

THRESHOLDS = ("fixed", "chosen", "oracle")


def read(run: Path) -> dict:
    """metrics.json of the evaluation of a run; UserError unless there is just one."""
    found = sorted(run.glob("eval-*/metrics.json"))
    if len(found) != 1:
        raise UserError(
            f"{run}: {len(found)} evaluations; run `python eval.py --ckpt {run}` "
            "for one split"
        )
    return json.loads(found[0].read_text())


def table(runs: list[Path]) -> str:
    """The Markdown table of evaluated runs."""
    groups = defaultdict(list)
    for run in runs:
        metrics = read(run)
        groups[metrics["config"], metrics["split"], metrics["step"]].append(metrics)
    lines = ["| config | split | step | runs | fixed | chosen | oracle |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for (config, split, step), found in sorted(groups.items()):
        cells = [
            _cell([m["thresholds"].get(name) for m in found]) for name in THRESHOLDS
        ]
        row = (config, split, step, len(found), *cells)
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def _cell(results: list[dict | None]) -> str:
    if any(result is None for result in results):
        return "-"
    values = [100 * result["mean_iou"] for result in results]
    spread = f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def main(argv: list[str] | None = None) -> None:
    """Prints the table of the runs named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    print(table(parser.parse_args(argv).runs))


if __name__ == "__main__":
    cli.one_line(main)
