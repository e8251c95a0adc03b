"""What the memory of a ContrastiveSeg run holds, and what its mining picks.

    python -m benchmarks.memory_slots --ckpt RUN --root PHOTOS --out DIR

Patches (cells of the grid) of training crops are embedded as in training. For slots of
each class it looks for the patches that are nearest, and says how many are of the class
of the slot; of the next batches, which cells become anchors, and which slots these are
contrasted with. DIR/memory.json holds the numbers, DIR/memory.png shows some slots by
their nearest patches. A run without memory has anchors alone.
"""

import argparse
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import slots_sheet
from benchmarks.facts import facts
from benchmarks.slots_mined import anchor_numbers, choose, mining_numbers
from benchmarks.slots_seen import Opened, Seen, look, opened
from ppcjax import cli
from ppcjax.ops import neighbours
from ppcjax.types import IGNORE

_NEAR = 5  # patches that say what a slot is


class Found(NamedTuple):
    """Slots of a class in a bank, and the patches nearest to each.

    bank: name of the bank.
    label: class of the slots.
    filled: slots that are written.
    cell: [n, k] patches, numbered over all batches.
    shown: [n, k] class of each.
    """

    bank: str
    label: int
    filled: int
    cell: np.ndarray
    shown: np.ndarray


def held(of: Opened, seen: Sequence[Seen], slots: int) -> list[Found]:
    """The patches nearest to slots of each class, of each bank.

    Args:
        of: the run.
        seen: batches whose patches are compared; those without a class are left out.
        slots: most slots of a class that are looked at, evenly spaced.
    """
    labels = np.concatenate([np.asarray(one.labels).ravel() for one in seen])
    (known,) = np.nonzero(labels != IGNORE)
    cells = [one.embedding.reshape(-1, one.embedding.shape[-1]) for one in seen]
    cells = jnp.concatenate(cells)[known]
    nearest = jax.jit(functools.partial(neighbours.nearest, k=_NEAR))
    found = []
    for name, bank in of.memory.items():
        for label, filled in enumerate(np.asarray(bank["filled"]).tolist()):
            some = np.unique(np.linspace(0, filled - 1, slots).astype(int))
            vectors = bank["slots"][label, some[some >= 0]].astype(jnp.float32)
            # What the released memory reads of class 0 is nothing.
            if not filled or not np.any(vectors):
                vectors = vectors[:0]
            _, place = nearest(vectors, cells)
            cell = known[np.asarray(place)]
            found.append(Found(name, label, filled, cell, labels[cell]))
    return found


def memory_numbers(of: Opened, found: Sequence[Found]) -> dict[str, Any]:
    """By bank and class: slots, and how many are near to patches of their class.

    "of_class" is the share of the slots most of whose nearest patches are of their
    class, None where no slot was looked at.
    """
    numbers: dict[str, Any] = {name: {} for name in of.memory}
    for one in found:
        right = (one.shown == one.label).mean(1)
        numbers[one.bank][of.classes[one.label]] = {
            "slots": of.memory[one.bank]["slots"].shape[1],
            "filled": one.filled,
            "looked_at": len(one.cell),
            "of_class": float((right > 0.5).mean()) if len(right) else None,
        }
    return numbers


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Writes DIR/memory.json and DIR/memory.png; gives what the former holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ckpt", required=True, help="run of contrastive_seg")
    parser.add_argument("--root", default="", help="folder of its photos")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--batches", type=int, default=40, help="that are embedded")
    parser.add_argument("--mined", type=int, default=5, help="whose anchors are told")
    parser.add_argument("--slots", type=int, default=200, help="of a class and bank")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    of = opened(given.ckpt)
    seen = look(of, given.root, max(given.batches, given.mined), given.seed)
    found = held(of, seen, given.slots)
    some = seen[: given.mined]
    chosen = choose(of, some)
    numbers = {
        "step": of.step,
        "memory": memory_numbers(of, found),
        "anchors": anchor_numbers(of, some, chosen),
        "mining": mining_numbers(of, some, chosen),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    said = ["--ckpt", "RUN", "--root", "PHOTOS", "--out", "DIR"]
    told = numbers | facts("benchmarks.memory_slots", said)
    (given.out / "memory.json").write_text(json.dumps(told, indent=1) + "\n")
    if found:
        slots_sheet.draw(of.classes, found, seen, given.out / "memory.png")
    print(json.dumps(numbers, indent=1))
    return numbers


if __name__ == "__main__":
    cli.one_line(main)
