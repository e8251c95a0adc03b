"""Between devices travel gradients, statistics, counts and what a memory takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import small_methods
from tests.methods import travelling

ROOT = Path(__file__).resolve().parents[2]
# Embeddings of the whole batch of the small ContrastiveSeg, [8, 64, 8] float32.
ALL_EMBEDDINGS = 8 * 64 * 8 * 4
CONTRASTS = [f"contrastive_seg:{m}" for m in ("nomem", "mem_official", "mem_fixed")]
SUMS_ONLY = [name for name in small_methods.TRAINED if name != "contrastive_seg"]


def _found(*names):
    """In a process of its own, as the number of devices is set when one starts."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.methods.travelling", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_choices_over_the_batch_only_add_up():
    found = _found(*travelling.CHOICES)
    photos = found.pop("photos of episodes")
    assert photos == {}
    for moved in found.values():
        assert set(moved) == {"all-reduce"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUMS_ONLY)
def test_a_step_only_adds_up(name):
    assert set(_found(name)[name]) == {"all-reduce"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRASTS)
def test_a_memory_takes_what_it_writes(name):
    moved = _found(name)[name]
    assert set(moved) <= {"all-reduce", "all-gather"}
    assert moved.get("all-gather", {"bytes": 0})["bytes"] < ALL_EMBEDDINGS / 2
