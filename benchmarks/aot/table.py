"""The results as a table for a page, and what is missing from it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.aot import rows

HEAD = (
    "step",
    "on a chip",
    "MiB per chip, 1 / 16 / 256 chips",
    "TFLOP per chip",
    "all-reduces at 256",
    "others at 256",
    "compiled in",
)


def program_bytes(record: Mapping[str, Any]) -> int:
    """What a compiled step holds on each chip, its state and its batch included."""
    sizes = record["bytes"]
    return sizes["argument"] + sizes["output"] + sizes["temp"] - sizes["alias"]


def read(folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """All results: name of the step -> chips -> record; failures have "failed"."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        job = record["job"]
        name = re.sub(r"\.(py|json)\b", "", Path(job["config"]).name)
        found.setdefault(name, {})[chips_of(job["topology"])] = record
    return found


def chips_of(topology: str) -> int:
    """How many chips a topology such as "v5e:4x4" has."""
    count = 1
    for side in topology.partition(":")[2].split("x"):
        count *= int(side)
    return count


def markdown(folder: Path) -> str:
    """The table of the published rows, and below it what has no result and why."""
    found = read(folder)
    chips = sorted(chips_of(topology) for topology in rows.TOPOLOGIES)
    lines, gaps = [_line(HEAD), _line(["---"] * len(HEAD))], []
    for row in rows.PUBLISHED:
        records = found.get(row.config, {})
        good = {n: record for n, record in records.items() if "failed" not in record}
        if good:
            lines.append(_row(row.config, good, chips))
        gaps += _gaps(row.config, records, chips)
    return "\n".join(lines + ([""] + gaps if gaps else []))


def _gaps(name: str, records: Mapping[int, Any], chips: Sequence[int]) -> list[str]:
    """A line for all numbers of chips without a result, and for each failure."""
    missing = [n for n in chips if n not in records]
    lines = [f"- `{name}`: no result yet on {_listed(missing)}"] if missing else []
    for n, record in sorted(records.items()):
        if "failed" in record:
            lines.append(f"- `{name}` on {_listed([n])}: {record['failed']}")
    return lines


def _row(name: str, records: Mapping[int, Any], chips: Sequence[int]) -> str:
    largest = records[max(records)]
    at_most = records.get(max(chips))
    moved = at_most["collectives"] if at_most else {}
    others = {kind: found for kind, found in moved.items() if kind != "all-reduce"}
    reduced = moved.get("all-reduce")
    return _line(
        [
            f"`{name}`",
            str(largest["job"]["batch_per_chip"]),
            _each(records, chips, lambda r: f"{program_bytes(r) / 2**20:,.0f}"),
            _each(records, chips, lambda r: f"{r['flop'] / 1e12:.2f}"),
            _moved(reduced) if reduced else "–",
            ", ".join(f"{_moved(found)} {kind}" for kind, found in others.items())
            or ("none" if at_most else "–"),
            _each(records, chips, lambda r: f"{r['compile_s']:.0f}") + " s",
        ]
    )


def _each(records, chips, text):
    """A figure for each number of chips, "–" where there is none."""
    return " / ".join(text(records[n]) if n in records else "–" for n in chips)


def _listed(chips: Sequence[int]) -> str:
    """Numbers of chips in words, such as "1 and 16 chips"."""
    *others, last = [f"{n}" for n in chips]
    text = f"{', '.join(others)} and {last}" if others else last
    return f"{text} chip{'s' * (text != '1')}"


def _moved(found: Mapping[str, int]) -> str:
    return f"{found['count']} of {found['bytes'] / 2**20:,.1f} MiB"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
