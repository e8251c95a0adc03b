"""Compares two folders of masks."""

from ppcjax.types import UserError


def main(argv: list[str]) -> None:
    """Compares the folders that the arguments name."""
    raise UserError("score is being written")
