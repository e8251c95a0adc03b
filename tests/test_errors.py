"""Errors and what they came from."""

import ast
from pathlib import Path

import pytest

from ppcjax import errors
from ppcjax.console import disk
from ppcjax.weights import download

ROOT = Path(errors.__file__).parent


def ring(size: int) -> list[Exception]:
    """Errors of which each came from the next, and the last from the first."""
    made = [ValueError(f"number {i}") for i in range(size)]
    for one, origin in zip(made, [*made[1:], made[0]], strict=True):
        one.__cause__ = origin
    return made


@pytest.mark.parametrize("size", range(1, 5))
def test_errors_that_came_from_themselves_have_an_end(size):
    made = ring(size)
    assert [*errors.chain(made[0])] == made
    assert disk.code_of(made[0]) is None
    assert download.reason_of(made[0]) == f"number {size - 1}"
    made[-1].errno = 28
    assert disk.code_of(made[0]) == 28


@pytest.mark.parametrize("hidden", [False, True])
def test_what_was_handled_is_told_unless_it_is_hidden(hidden):
    first, second = OSError(28, "full"), ValueError("second")
    second.__context__, second.__suppress_context__ = first, hidden
    assert [*errors.chain(second)] == ([second] if hidden else [second, first])


def test_there_is_one_way_from_an_error_to_its_origins():
    walking = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for loop in ast.walk(ast.parse(path.read_text()))
        if isinstance(loop, ast.While)
        for node in ast.walk(loop)
        if getattr(node, "attr", "") in ("__cause__", "__context__")
    }
    assert walking == {"errors.py"}
