"""Segments photos of your own: masks, overlays and a table."""

from ppcjax.types import UserError


def main(argv: list[str]) -> None:
    """Segments the photos that the arguments name."""
    raise UserError("predict is being written")
