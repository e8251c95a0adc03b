"""Systems of equations are solved in one thread, unless the user has said otherwise."""

import os
import subprocess
import sys

import pytest

from tests.test_layering import ROOT

_NAME = "OPENBLAS_NUM_THREADS"
# What a command has set where it would begin, and whether SciPy came before.
_SAYS = f"""
import os, sys
from ppcjax import program
program.command = lambda word: lambda argv: print(
    os.environ.get({_NAME!r}), any(name.startswith("scipy") for name in sys.modules)
)
program.main(*sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        *((word, {}, "1") for word in ("train", "eval", "predict", "label")),
        ("eval", {_NAME: "3"}, "3"),
        ("eval", {"OMP_NUM_THREADS": "2"}, "None"),
        ("score", {}, "None"),
    ],
)
def test_threads_of_a_command(words, given, said):
    names = (_NAME, "OMP_NUM_THREADS", "GOTO_NUM_THREADS")
    bare = {key: value for key, value in os.environ.items() if key not in names}
    found = subprocess.run(
        [sys.executable, "-c", _SAYS, words, "--config=x"],
        cwd=ROOT,
        env={**bare, **given},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout == f"{said} False\n", found.stderr
