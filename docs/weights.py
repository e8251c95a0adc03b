"""Writes the tables of docs/weights.md from known.toml: python -m docs.weights."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ppcjax.weights import known, uses
from ppcjax.weights.known import Row

PAGE = Path(__file__).with_suffix(".md")

MADE = "<!-- All below is made by python -m docs.weights. -->\n"
BACKBONES = (
    "name",
    "network",
    "file",
    "licence",
    "size",
    "input",
    "fetched",
    "configs",
)
CHECKPOINTS = ("name", "file", "licence", "fetched", "command", "published")


def command(row: Row) -> str:
    """What evaluates a checkpoint, or why nothing does."""
    if row.naming == "unknown":
        return "cannot be read yet: the names of its heads are not known to us"
    config, _, variant = row.config.partition(":")
    words = f"python eval.py --ckpt {row.name} --config configs/{config}.py"
    words = " ".join(filter(None, (words + (variant and f":{variant}"), row.options)))
    return f"`{words}`"


def where(row: Row) -> str:
    """File and source, the note behind."""
    if row.hub:
        text = f"`{row.source}`"
    elif row.package:
        text = f"`{row.name}` in the package `{row.package}`"
    elif row.url:
        text = f"<{row.url}>"
    else:
        text = f"`{row.name}`, by hand: {row.by_hand}"
    known_sum = f"; SHA-256 `{row.sha256[:8]}...`" if row.sha256 else ""
    return text + known_sum + (f". {row.note}" if row.note else "")


def expects(row: Row) -> str:
    """Input, padding and epsilon, as far as they are known."""
    found = []
    if row.pixel_mean:
        mean, std = (
            "/".join(f"{x:.3g}" for x in values)
            for values in (row.pixel_mean, row.pixel_std)
        )
        found.append(f"mean {mean}, deviation {std}")
    found += ["BGR"] if row.channels == "bgr" else []
    found += [f"padded {row.padding}"] if row.padding else []
    found += [f"epsilon {row.eps:g}"] if row.eps != 1e-5 else []
    return "; ".join(found) or "unknown"


def _configs(row: Row) -> str:
    naming, fitting = uses.users(row)
    parts = (("used by", naming), ("fits", fitting))
    return "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _backbones() -> Iterator[str]:
    for row in known.rows():
        if row.what == "backbone":
            figures = f"; published: {row.expect}" if row.expect else ""
            yield _line(
                (
                    f"`{row.id}`" + ("*" if row.default else ""),
                    known.network_of(row),
                    where(row) + figures,
                    row.licence,
                    f"{row.size:g}" if row.size else "unknown",
                    expects(row),
                    "yes" if row.fetched else "not yet",
                    _configs(row),
                )
            )


def _checkpoints() -> Iterator[str]:
    for row in known.rows():
        if row.what == "checkpoint":
            fetched = "yes" if row.fetched else "not yet"
            yield _line(
                (
                    f"`{row.id}`",
                    where(row),
                    row.licence,
                    fetched,
                    command(row),
                    row.expect,
                )
            )


def _table(title: str, head: Sequence[str], lines: Iterator[str]) -> str:
    rule = _line(["---"] * len(head))
    return f"\n## {title}\n\n{_line(head)}{rule}{''.join(lines)}"


def as_markdown() -> str:
    """The page: what people wrote at its top, and the tables anew."""
    written = PAGE.read_text().partition(MADE)[0]
    backbones = _table("Backbones", BACKBONES, _backbones())
    checkpoints = _table("Whole checkpoints", CHECKPOINTS, _checkpoints())
    return written + MADE + backbones + checkpoints


if __name__ == "__main__":
    PAGE.write_text(as_markdown())
