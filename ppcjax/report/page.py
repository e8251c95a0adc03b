"""report.html: one page that holds all of an evaluation and loads nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from ppcjax.report import html
from ppcjax.runs.files import write_file

template = html.source


class Section(Markup):
    """HTML of a titled box of a page.

    heading: what a list of contents calls it; "" for none.
    anchor: its id.
    """

    heading: str = ""
    anchor: str = ""


class Page(NamedTuple):
    """What an evaluation shows.

    title: heading, in plain text.
    lead: what was evaluated, in a line of plain text.
    sections: HTML of each; empty ones are left out.
    script: JavaScript that draws, from a file of templates/.
    data: JSON text that it draws from, see `as_script_data`.
    made: name -> what made the page, in plain text; it stands at its end.
    """

    title: str
    lead: str
    sections: Sequence[str]
    script: str = ""
    data: str = ""
    made: Mapping[str, str | None] = {}


def write_page(path: Path, page: Page) -> None:
    """Writes a page as one file that needs no other.

    Args:
        path: where the .html file is written.
        page: what it shows.
    """
    sections = list(map(html.trusted, filter(None, page.sections)))
    scripts = [Markup(s) for s in (html.source("enlarge.js"), page.script) if s]
    text = html.render(
        "page.html",
        page=page,
        style=html.source("report.css"),
        policy=policy(scripts),
        contents=[one for one in page.sections if getattr(one, "heading", "")],
        sections=sections,
        scripts=scripts,
        data=Markup(page.data or "null"),
    )
    write_file(path, text.encode())


def policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy of a page.

    These scripts run and no others; nothing is loaded but pictures beside the page.

    Args:
        scripts: text of each, as it stands between its tags.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    known = " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; "
        "img-src data: 'self' file:; base-uri 'none'; form-action 'none'"
    )


def as_script_data(content: Any) -> Markup:
    """JSON that may stand inside a <script>."""
    text = json.dumps(content, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def skipped(reasons: Mapping[str, str]) -> Section | str:
    """The images that were left out, and why; "" where there are none."""
    if not reasons:
        return ""
    content = html.render("skipped.html", reasons=list(reasons.values()))
    return section("Skipped images", content)


def image(jpeg: bytes, alt: str, kind: str = "", group: str = "") -> Markup:
    """An <img> that holds its own bytes.

    Args:
        jpeg: content of a JPEG file.
        alt: what it shows, in plain text.
        kind: its CSS class.
        group: name of the pictures among which arrows move once it is enlarged; empty:
            it is not enlarged by itself.
    """
    content = base64.b64encode(jpeg).decode()
    return html.render("image.html", content=content, alt=alt, kind=kind, group=group)


def section(title: str, content: str) -> Section:
    """A titled box.

    Args:
        title: plain text.
        content: HTML.
    """
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    anchor = f"section-{words}"
    text = html.render(
        "section.html", title=title, content=html.trusted(content), anchor=anchor
    )
    found = Section(text)
    found.heading, found.anchor = title, anchor
    return found
