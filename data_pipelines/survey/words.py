"""Names and numbers as text that is safe on a terminal."""

from collections.abc import Sequence

from ppcjax.console import plain

SHOWN = 12  # entries of a long list


def printable(text: str) -> str:
    """Text in one line, without characters that steer a terminal or turn its order."""
    return plain.line(text)


def many(count: int, noun: str) -> str:
    """A number of things: "1 photo", "2,000 photos"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listing(entries: Sequence[str], shown: int = SHOWN) -> str:
    """The first entries of a list, and how many more there are."""
    text = ", ".join(entries[:shown])
    more = len(entries) - shown
    return f"{text} and {more:,} more" if more > 0 else text


def share(part: float, whole: float) -> str:
    """A share in per cent; small ones are not rounded to nothing."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %"
