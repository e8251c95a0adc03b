"""What travels between chips, read from the text of a compiled program."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

KINDS = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all"),
    *("collective-permute", "collective-broadcast"),
)
_BITS = {"pred": 8, "bf16": 16}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) .*\{$")
_CALLED = re.compile(r"(?:calls|body|condition|to_apply)=%?([\w.-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_NUMBER = re.compile(r"^(\d+)\)")
_ARRAY = re.compile(r"([a-z]+\d*[a-z0-9]*)\[([\d,]*)\]")


class _Instruction(NamedTuple):
    """A line of a program: type of the result, operation, and what comes after."""

    type: str
    operation: str
    rest: str


def count(text: str) -> dict[str, dict[str, int]]:
    """Collectives of one step, by kind.

    Those in a loop count as often as it turns, where the program tells: by a note of
    the compiler, or by a bound that is a constant, as JAX writes loops from 0 on. Those
    in other loops count once; of the branches of a condition, all count.

    Args:
        text: compiled program, as `jax.stages.Compiled.as_text` gives it.

    Returns:
        Kind, such as "all-reduce" -> "count", how many a chip takes part in, and
        "bytes" of their results on a chip. Kinds that are not there are left out.
    """
    computations, entry = _computations(text)
    found = defaultdict(lambda: {"count": 0, "bytes": 0})
    for name, times in _times(computations, entry).items():
        for line in computations[name]:
            kind, _, stage = line.operation.partition("-start")
            if kind not in KINDS or stage:
                continue
            arrays = _arrays(line.type)
            if line.operation.endswith("-start") and kind != "all-reduce":
                arrays = arrays[1:2]  # the operand, the result, and marks
            found[kind]["count"] += times
            found[kind]["bytes"] += times * sum(arrays)
    return {kind: found[kind] for kind in KINDS if kind in found}


def _computations(text: str) -> tuple[dict[str, list[_Instruction]], str]:
    """Instructions of each computation, and the name of that which is run."""
    found, entry, name = {}, "", ""
    for line in text.splitlines():
        head = None if line.startswith(" ") else _COMPUTATION.match(line)
        if head:
            name = head[2]
            found[name] = []
            entry = name if head[1] else entry
        elif name and " = " in line:
            found[name].append(_instruction(line.partition(" = ")[2]))
    return found, entry


def _instruction(text: str) -> _Instruction:
    end = _end_of_type(text)
    operation, _, rest = text[end + 1 :].partition("(")
    return _Instruction(text[:end], operation, rest)


def _end_of_type(text: str) -> int:
    """Where the first blank outside of brackets is."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth == 0:
            return place
    return len(text)


def _times(computations: dict[str, list[_Instruction]], entry: str) -> dict[str, int]:
    """How often a step runs each computation that it reaches."""
    found = defaultdict(int)
    waiting = [(entry, 1)]
    while waiting:
        name, times = waiting.pop()
        found[name] += times
        for line in computations.get(name, ()):
            turns = times * _turns(line, computations)
            waiting += [
                (other, turns) for other in _called(line) if other in computations
            ]
    return {name: times for name, times in found.items() if name in computations}


def _turns(line: _Instruction, computations: dict[str, list[_Instruction]]) -> int:
    """How often a line runs what it calls: more than once if it is a loop."""
    if line.operation != "while":
        return 1
    if noted := _TRIPS.search(line.rest):
        return int(noted[1])
    condition = re.search(r"condition=%?([\w.-]+)", line.rest)[1]
    test = computations.get(condition, [])
    bounds = [found for found in (_bound(x) for x in test) if found is not None]
    counts_up = test and "direction=LT" in test[-1].rest
    return bounds[0] if counts_up and len(bounds) == 1 else 1


def _bound(line: _Instruction) -> int | None:
    """The number that a line holds, if it holds one."""
    number = _NUMBER.match(line.rest) if line.operation == "constant" else None
    return int(number[1]) if number else None


def _called(line: _Instruction) -> Iterator[str]:
    if line.operation.removesuffix("-start") in KINDS:
        return  # its computation is that of two numbers
    yield from _CALLED.findall(line.rest)
    for names in _BRANCHES.findall(line.rest):
        yield from re.findall(r"[\w.-]+", names)


def _arrays(text: str) -> list[int]:
    """Bytes of each array of a type."""
    without_layout = re.sub(r"\{[^}]*\}", "", text)
    return [
        math.prod(int(side) for side in sides.split(",") if side) * _bits(kind) // 8
        for kind, sides in _ARRAY.findall(without_layout)
    ]


def _bits(kind: str) -> int:
    """Bits of a number of a type such as "f32", "bf16" or "f8e4m3fn"."""
    return _BITS.get(kind) or int(re.search(r"\d+", kind)[0])
