"""Faults drawn by seed, tried one by one, and counted: "flips: held 500 of 500".

A kind of fault is a module of this folder. It draws faults from a generator, and has a
function that tries one and raises AssertionError where a promise of docs/reliability.md
is broken. The same function with a guard taken out must not hold, or it shows nothing.
"""

import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

SEED = 16


class Fault(NamedTuple):
    """A fault that is tried.

    name: what it is, in a few words, for the message.
    value: what the function that tries it takes.
    """

    name: str
    value: Any


def sizes(*, quick: int, slow: int, long: int = 0) -> pytest.MarkDecorator:
    """Runs a test on few faults always, and on more behind the markers.

    Args:
        quick: faults in `make test`; 0: none.
        slow: faults behind the marker slow; 0: none.
        long: faults behind the marker long; 0: none.
    """
    marks = {"quick": (quick, ()), "slow": (slow, pytest.mark.slow)}
    marks["long"] = (long, (pytest.mark.slow, pytest.mark.long))
    return pytest.mark.parametrize(
        "count",
        [
            pytest.param(count, id=name, marks=mark)
            for name, (count, mark) in marks.items()
            if count
        ],
    )


def drawn(
    draw: Callable[[np.random.Generator], Fault], count: int, seed: int = SEED
) -> Iterator[Fault]:
    """`count` faults; the first ones are the same whatever the count.

    Args:
        draw: makes one from a generator of random numbers.
        count: how many.
        seed: seed of all.
    """
    for number in range(count):
        yield draw(np.random.default_rng((seed, number)))


def cycled(faults: Iterable[Fault], count: int, seed: int = SEED) -> Iterator[Fault]:
    """`count` of a list of faults, in an order that the seed shuffles.

    Args:
        faults: all that there are.
        count: how many are tried; no more than there are.
        seed: seed of the order.
    """
    known = list(faults)
    order = np.random.default_rng(seed).permutation(len(known))
    yield from itertools.islice((known[i] for i in order), count)


def failures(
    faults: Iterable[Fault], attempt: Callable[[Any], None]
) -> tuple[int, list[str]]:
    """How many faults were tried, and what is wrong, a line for each not held.

    Args:
        faults: what is tried.
        attempt: tries one; whatever it raises, the fault was not held.
    """
    tried, wrong = 0, []
    for fault in faults:
        tried += 1
        try:
            attempt(fault.value)
        except Exception as error:
            text = str(error).strip() or traceback.format_exc(limit=-2)
            wrong.append(f"{fault.name}: {type(error).__name__}: {text}")
    return tried, wrong


def all_held(
    kind: str,
    faults: Iterable[Fault],
    attempt: Callable[[Any], None],
    record: Callable[[str, str], None],
) -> None:
    """Fails where a fault is not held, and has the count printed at the end.

    Args:
        kind: name of the kind.
        faults: what is tried.
        attempt: tries one.
        record: pytest's fixture record_property.
    """
    tried, wrong = failures(faults, attempt)
    record("held", f"{kind}: held {tried - len(wrong)} of {tried}")
    shown = "\n".join(wrong[:20])
    assert not wrong, f"{kind}: not held {len(wrong)} of {tried}:\n{shown}"


def some_break(
    faults: Iterable[Fault], attempt: Callable[[Any], None], planted: str
) -> None:
    """Fails where all is held although a guard was taken out.

    Args:
        faults: what is tried.
        attempt: tries one, with the guard taken out.
        planted: which guard.
    """
    tried, wrong = failures(faults, attempt)
    assert tried, "no fault was tried"
    assert wrong, f"{tried} faults are held without {planted}: they show nothing"
