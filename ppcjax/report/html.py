"""HTML from the templates of this folder; all that is filled in is escaped.

A template is a file of templates/ with {{ values }} in it. What `render` gives is
`Markup`: filled into another template it stays as it is. No module writes tags itself.
"""

import functools
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ppcjax.console import plain
from ppcjax.report.text import percent

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> Markup:
    """A template with values filled in.

    Args:
        template: name of a file in templates/, such as "page.html".
        **values: what its names stand for; text is escaped, `Markup` is not.

    Raises:
        jinja2.UndefinedError: the template reads a name that is not given.
    """
    return Markup(_environment().get_template(template).render(values))


def source(name: str) -> Markup:
    """A style sheet or a script of templates/ as it stands there."""
    return Markup((TEMPLATES / name).read_text("utf-8"))


def _plain(value: Any) -> Any:
    """A text without what is not printed; `Markup` and numbers stay as they are."""
    return plain.lines(value) if type(value) is str else value


@functools.cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    found.filters["percent"] = percent
    return found
