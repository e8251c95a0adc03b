"""Runs of every method, as evaluation has them."""

from tests.evaluate.conftest import folder_of

__all__ = ["folder_of"]
