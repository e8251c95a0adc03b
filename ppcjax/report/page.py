"""report.html: one page that holds all of an evaluation and loads nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from ppcjax.report import html


class Page(NamedTuple):
    """What an evaluation shows.

    title: heading, in plain text.
    lead: what was evaluated, in a line of plain text.
    sections: HTML of each, as `ppcjax.report.html.render` gives it; other text is
        escaped, and empty ones are left out.
    script: JavaScript that draws, from a file of templates/.
    data: JSON text that it draws from, see `as_script_data`.
    made: name -> what made the page, in plain text; it stands at its end.
    """

    title: str
    lead: str
    sections: Sequence[str]
    script: Markup = Markup()
    data: Markup = Markup("null")
    made: Mapping[str, str | None] = {}


class Jump(NamedTuple):
    """An entry of the list of contents: the id of a section, and its heading."""

    anchor: str
    heading: Markup


def as_html(page: Page) -> str:
    """A page as the text of one file that needs no other."""
    sections, contents = numbered(page.sections)
    scripts = list(filter(None, (html.source("enlarge.js"), page.script)))
    return html.render(
        "page.html",
        page=page,
        style=html.source("report.css"),
        policy=policy(scripts),
        contents=contents,
        sections=sections,
        scripts=scripts,
    )


# In HTML of templates nothing that was filled in can look like this.
_HEADING = re.compile(
    r'<section(?: id="(?P<anchor>[^"]*)")?>\s*<h2>(?P<title>.*?)</h2>', re.DOTALL
)


def numbered(sections: Sequence[str]) -> tuple[list[Markup], list[Jump]]:
    """Gives every section an id.

    Args:
        sections: HTML of each; empty ones are left out.

    Returns:
        The sections, and what a list of contents leads to.
    """
    jumps = []

    def name(found: re.Match) -> str:
        anchor = found["anchor"] or f"section-{len(jumps) + 1}"
        jumps.append(Jump(anchor, Markup(found["title"])))
        return html.render("section.html", anchor=anchor, title=jumps[-1].heading)

    escaped = (escape(section) for section in sections if section)
    return [Markup(_HEADING.sub(name, text)) for text in escaped], jumps


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


def skipped(reasons: Mapping[str, str]) -> Markup | str:
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


def section(title: str, content: str) -> Markup:
    """A titled box.

    Args:
        title: plain text.
        content: HTML, as `ppcjax.report.html.render` gives it; other text is escaped.
    """
    return html.render("box.html", title=title, content=content)
