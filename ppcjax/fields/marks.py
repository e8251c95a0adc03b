"""Marks in the annotation of a setting.

Most say which values of its type it may hold; `Free` and `Place` say what it may become
when a run goes on.
"""

import dataclasses
import re
from collections.abc import Collection, Sequence


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers that a setting may hold.

    least: smallest number allowed.
    most: largest number allowed.
    above: bound that the number must exceed.
    below: bound that the number must not reach.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        bounds = (("of at least", self.least), ("above", self.above))
        upper = (("at most", self.most), ("below", self.below))
        return " and ".join(
            f"{word} {_number(bound)}"
            for word, bound in (*bounds, *upper)
            if bound is not None
        )


def _number(value: float) -> str:
    """Whole numbers with all their digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


@dataclasses.dataclass(frozen=True)
class Length:
    """How many items a setting may hold.

    least: smallest number of items.
    most: largest number of items; None for any.
    """

    least: int = 0
    most: int | None = None


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Names that a setting may hold, for choices that stand in a table.

    names: the table, or any other collection of names.
    """

    names: Collection[str]

    def __hash__(self) -> int:
        return hash(tuple(self.names))


@dataclasses.dataclass(frozen=True)
class Ordered:
    """Numbers that a setting holds stand in ascending order; equal ones may."""

    def holds(self, values: Sequence[float]) -> bool:
        """Whether no number is above the next one."""
        return all(a <= b for a, b in zip(values, values[1:], strict=False))


@dataclasses.dataclass(frozen=True)
class Name:
    """Texts that can name a folder, and lead to none outside the one it is in."""

    def holds(self, text: str) -> bool:
        """Whether the text is such a name."""
        plain = re.fullmatch(r"\w[\w .+=,@-]{0,99}", text) is not None
        fits = len(text.encode("utf-8", "replace")) <= 255
        return plain and fits and ".." not in text and text[-1] not in ". "

    def __str__(self) -> str:
        return (
            "a plain name of at most 100 letters, digits and _-.+=,@, which begins "
            "with a letter, a digit or _, ends with no dot or space, and holds no .."
        )


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Texts that are regular expressions, and not empty, which would match all."""

    def holds(self, text: str) -> bool:
        """Whether the text is such an expression."""
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError):
            return False
        return bool(text)

    def __str__(self) -> str:
        return "a regular expression"


@dataclasses.dataclass(frozen=True)
class Free:
    """Settings that change nothing that is learnt: a run may go on with another value.

    A setting without this mark or `Place` must stay what it was.
    """


@dataclasses.dataclass(frozen=True)
class Place:
    """Texts that say where files lie: these may have moved when a run goes on.

    An empty text is no place: a run cannot go on with files that it did without.
    """
