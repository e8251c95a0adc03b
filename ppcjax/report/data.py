"""The section of a report that says what was read."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ppcjax.report import page
from ppcjax.report.text import percent

SHOWN = 40  # classes, below which a table is long


def section(account: Mapping[str, Any]) -> str:
    """What was read as HTML; "" where nothing is known.

    Args:
        account: a survey of the data as JSON types.
    """
    if not account:
        return ""
    held = account["held_out"]
    parts = [
        _warnings([*account["errors"], *account["warnings"]]),
        f"<dl class='facts'>{''.join(_facts(account))}</dl>",
        _classes(account),
        _details(f"{len(held):,} photos held out by ppcjax", held),
        _details("Photos that cannot be used", list(account["damaged"].values())),
    ]
    return page.section("Data", "".join(parts))


def _facts(account: Mapping[str, Any]) -> list[str]:
    sizes = {name: f"{w} x {h}" for name, (w, h) in account["sizes"].items()}
    shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
    if len(set(sizes.values())) == 1:
        shown = next(iter(sizes.values()))
    rows = {
        "Source": account["source"],
        "Photos": ", ".join(filter(None, [f"{account['photos']:,}", account["where"]])),
        "Size in pixels": shown,
        "Tags": _part(account, account["tags"]),
        "Masks": _part(account, account["masks"]),
        "Classes": account["classes_text"],
        "Splits": _counts(account["splits"]),
        "Passed over": ", ".join(f"{n:,} {what}" for what, n in _items(account)),
    }
    return [
        f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items() if text
    ]


def _items(account: Mapping[str, Any]):
    return account["passed"].items()


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


def _classes(account: Mapping[str, Any]) -> str:
    rows = account["classes"]
    pixels, void = account["masks"]["pixels"], account["masks"]["void"]
    if not (pixels or account["tags"]["photos"]):
        return ""
    head = ["Class", "Photos tagged", *(["Photos shown", "Pixels"] if pixels else [])]
    body = []
    for row in rows:
        cells = [f"{row['tagged']:,}"]
        if pixels:
            cells += [f"{row['shown']:,}", percent(row["pixels"] / pixels)]
        body.append(_row(row["name"], cells))
    if void:
        body.append(_row("void, counts nowhere", ["", "", percent(void / pixels)]))
    titles = "".join(f"<th scope='col'>{title}</th>" for title in head)
    table = (
        f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )
    if len(rows) <= SHOWN:
        return table
    return f"<details><summary>{len(rows)} classes</summary>{table}</details>"


def _row(name: str, cells: Sequence[str]) -> str:
    values = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th scope='row'>{escape(name)}</th>{values}</tr>"


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul class='warnings'>{items}</ul>"


def _details(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{title}</summary><ul>{items}</ul></details>"
