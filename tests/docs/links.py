"""Links of a page: to files beside it, and to headings."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of

_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|\bsrc=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
_SPAN = re.compile(r"`[^`\n]+`")


def prose(page: str, text: str | None = None) -> str:
    """A page whose fenced blocks are empty; line numbers stay."""
    text = (ROOT / page).read_text() if text is None else text
    lines = text.splitlines()
    for block in blocks_of(page, text):
        end = block.line - 1 + len(block.text.splitlines())
        lines[block.line - 1 : end] = [""] * (end - block.line + 1)
    return "\n".join(lines)


def links(page: str, text: str | None = None) -> Iterator[tuple[int, str]]:
    """Line and target of each link of a page that leads to no other host."""
    for number, line in enumerate(prose(page, text).splitlines(), 1):
        for found in _LINK.finditer(_SPAN.sub("", line)):
            target = found[1] or found[2]
            if not re.match(r"[a-z]+:", target):
                yield number, target


def anchors(text: str) -> set[str]:
    """Names of the headings of a page, as GitHub and MkDocs make them."""
    found: set[str] = set()
    for heading in _HEADING.findall(text):
        bare = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", bare.lower()).strip().replace(" ", "-")
        number = 0
        while name + (f"-{number}" if number else "") in found:
            number += 1
        found.add(name + (f"-{number}" if number else ""))
    return found


def broken(page: str, text: str | None = None, root: Path = ROOT) -> list[str]:
    """Links of a page that lead nowhere, each with its line."""
    wrong = []
    for line, target in links(page, text):
        path, _, anchor = target.partition("#")
        file = ((root / page).parent / path) if path else root / page
        if not file.exists():
            wrong.append(f"{page}:{line}: {target}: there is no such file")
        elif anchor and file.suffix == ".md":
            read = text if not path and text is not None else file.read_text()
            own = str(file.relative_to(root)) if file.is_relative_to(root) else page
            if anchor not in anchors(prose(own, read)):
                wrong.append(f"{page}:{line}: {target}: there is no such heading")
    return wrong
