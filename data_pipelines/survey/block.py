"""The account of a source as aligned lines of plain text."""

from typing import TYPE_CHECKING

import numpy as np

from ppcjax.data_pipelines.survey.words import listing, many, printable, share

if TYPE_CHECKING:
    from ppcjax.data_pipelines.survey import Survey

WIDTH = 12  # of the first column


def sizes(found: np.ndarray) -> dict[str, tuple[int, int]]:
    """The smallest, the median and the largest photo by area, as (width, height).

    Args:
        found: [S, 2] widths and heights.

    Returns:
        Empty where no size is known.
    """
    if not len(found):
        return {}
    order = np.lexsort((found[:, 0], found.prod(1)))
    places = {"smallest": 0, "median": len(order) // 2, "largest": -1}
    return {
        name: (int(found[order[at]][0]), int(found[order[at]][1]))
        for name, at in places.items()
    }


def lines(of: "Survey") -> list[str]:
    """The account of a source in a few lines.

    Args:
        of: the account.
    """
    rows = [
        ("splits", _splits(of)),
        ("passed over", _passed(of)),
        *(("error", text) for text in of.problems.errors),
        *(("warning", text) for text in of.problems.warnings),
    ]
    if of.labels:
        labels = [("tags", _tags(of)), ("masks", _masks(of)), ("classes", _classes(of))]
        rows = labels + rows
    rows = [("photos", of.reading.photos), *rows]
    head = f"data: {of.source}: {_photos(of)}"
    body = [f"  {name:<{WIDTH}}{printable(text)}" for name, text in rows if text]
    return [printable(head), *body]


def _photos(of: "Survey") -> str:
    text = many(of.photos, "photo")
    found = sizes(of.counts.sizes)
    if not found:
        return text
    smallest, median, largest = (
        f"{width} x {height}" for width, height in found.values()
    )
    if smallest == largest:
        return f"{text}, {smallest} pixels"
    return f"{text}, {smallest} to {largest} pixels, median {median}"


def _known(count: int, read: int, of: "Survey") -> str:
    """Of how many photos something is known, and how many were looked at."""
    if count == read == of.photos:
        return "all " + many(of.photos, "photo")
    if read == of.photos:
        return f"{count:,} of {of.photos:,} photos"
    if count == read:
        return f"{read:,} of {of.photos:,} photos, evenly spaced"
    return f"{count:,} of {read:,} photos, evenly spaced over {of.photos:,}"


def _joined(how: str, what: str) -> str:
    return f"{how}: {what}" if how else what


def _tags(of: "Survey") -> str:
    counts = of.counts
    if not counts.with_tags:
        return "none"
    pairs = zip(of.classes, counts.tagged, strict=True)
    named = [f"{name} {count:,}" for name, count in pairs if count]
    part = ""
    if (counts.with_tags, counts.tags_read) != (of.photos, of.photos):
        part = f"{_known(counts.with_tags, counts.tags_read, of)}; "
    return _joined(of.reading.tags, part + listing(named))


def _masks(of: "Survey") -> str:
    counts = of.counts
    if not counts.masked:
        return "none"
    whole = int(counts.pixels.sum())
    shares = [
        f"{name} {share(count, whole)}"
        for name, count in zip(of.classes, counts.pixels, strict=False)
        if count
    ]
    void = [f"void {share(counts.pixels[-1], whole)}"] if counts.pixels[-1] else []
    part = _known(counts.masked, counts.masks_read, of)
    found = ", ".join(filter(None, [listing(shares), *void]))
    return "; ".join(filter(None, [of.reading.masks, part, found]))


def _classes(of: "Survey") -> str:
    return _joined(of.reading.classes, listing(of.classes))


def _splits(of: "Survey") -> str:
    splits, held = of.reading.splits, len(of.reading.held_out)
    note = {"val": " (held out by ppcjax)"} if held else {}
    return ", ".join(
        f"{name} {count:,}{note.get(name, '')}" for name, count in splits.items()
    )


def _passed(of: "Survey") -> str:
    return listing([f"{count:,} {what}" for what, count in of.reading.passed.items()])
