"""Whoever stops reading, or has no room, is told once and never by a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = ["--help", "train", "inspect --help", "weights --help", "weights list"]


@pytest.fixture(params=["", "1"], ids=["buffered", "at once"])
def say(request):
    """Starts `ppcjax WORDS` with a stdout; gives its exit code and stderr."""

    def start(words, stdout):
        ended = subprocess.run(
            [sys.executable, "-m", "ppcjax", *words.split()],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": request.param},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        return ended.returncode, ended.stderr

    return start


@pytest.mark.parametrize(
    "words", [QUICK[0], *(pytest.param(w, marks=pytest.mark.slow) for w in QUICK[1:])]
)
def test_nobody_reads(words, say):
    read, write = os.pipe()
    os.close(read)
    try:
        code, error = say(words, write)
    finally:
        os.close(write)
    assert "Traceback" not in error and "Exception" not in error
    assert code in (0, 141)
    assert all(line.startswith("error: --config") for line in error.splitlines())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", [QUICK[0], *(pytest.param(w, marks=pytest.mark.slow) for w in QUICK[1:])]
)
def test_no_room_for_what_is_printed(words, say):
    with open("/dev/full", "w") as full:
        code, error = say(words, full)
    assert code == 1
    assert error.splitlines()[-1] == "error: disk full; free some space there"
