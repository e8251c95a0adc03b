"""The section of a report that says what was read."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ppcjax.report import page
from ppcjax.report.html import render
from ppcjax.report.text import percent

SHOWN = 40  # classes, below which a table is long


def section(account: Mapping[str, Any]) -> Markup | str:
    """What was read as HTML; "" where nothing is known.

    Args:
        account: a survey of the data as JSON types.
    """
    if not account:
        return ""
    head, rows = _classes(account)
    content = render(
        "data.html",
        warnings=[*account["errors"], *account["warnings"]],
        found=_facts(account),
        head=head,
        rows=rows,
        shown=SHOWN,
        held=account["held_out"],
        damaged=list(account["damaged"].values()),
    )
    return page.section("Data", content)


def _facts(account: Mapping[str, Any]) -> dict[str, str]:
    sizes = {name: f"{w} x {h}" for name, (w, h) in account["sizes"].items()}
    shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
    if len(set(sizes.values())) == 1:
        shown = next(iter(sizes.values()))
    return {
        "Source": account["source"],
        "Photos": ", ".join(filter(None, [f"{account['photos']:,}", account["where"]])),
        "Size in pixels": shown,
        "Tags": _part(account, account["tags"]),
        "Masks": _part(account, account["masks"]),
        "Classes": account["classes_text"],
        "Splits": _counts(account["splits"]),
        "Passed over": ", ".join(f"{n:,} {w}" for w, n in account["passed"].items()),
    }


def _counts(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in splits.items())


def _part(account: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Of how many photos tags or masks are known, and how they are written."""
    if not found["read"]:
        return ""
    count = f"{found['photos']:,} of {found['read']:,} photos"
    if found["read"] < account["photos"]:
        count += " that were looked at, evenly spaced"
    return ", ".join(filter(None, [count, found["text"]]))


_Rows = list[tuple[str, list[str]]]  # a name and its cells


def _classes(account: Mapping[str, Any]) -> tuple[list[str], _Rows]:
    """Titles of the columns, and a row of each class; none where nothing was counted.

    Pixels of void stand in a row of their own.
    """
    pixels, void = account["masks"]["pixels"], account["masks"]["void"]
    if not (pixels or account["tags"]["photos"]):
        return [], []
    head = ["Class", "Photos tagged", *(["Photos shown", "Pixels"] if pixels else [])]
    rows = []
    for row in account["classes"]:
        untagged = row["name"] == "background" and not row["tagged"]
        cells = ["–" if untagged else f"{row['tagged']:,}"]
        if pixels:
            cells += [f"{row['shown']:,}", percent(row["pixels"] / pixels)]
        rows.append((row["name"], cells))
    if void:
        rows.append(("void, counts nowhere", ["", "", percent(void / pixels)]))
    return head, rows
