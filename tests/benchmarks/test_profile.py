"""A profile counts each second once and tells what kind of work it was."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import kinds, profile
from ppcjax.types import UserError


def test_seconds_inside_of_an_operation_are_not_its_own():
    events = [(0, 10e9, "loop"), (1e9, 2e9, "a"), (4e9, 3e9, "call"), (5e9, 1e9, "a")]
    found = profile.own_seconds([*events, (20e9, 1e9, "b")])
    assert found == pytest.approx({"loop": 5.0, "a": 3.0, "call": 2.0, "b": 1.0})
    # Of one that ends later than what it began in, nothing is counted twice.
    found = profile.own_seconds([(0, 2e9, "first"), (1e9, 3e9, "second")])
    assert found == pytest.approx({"first": 1.0, "second": 3.0})


def test_a_table_has_the_largest_first_and_the_sum():
    seconds = dict.fromkeys(kinds.KINDS, 0.0) | {kinds.NORM: 1.0, kinds.FORWARD: 3.0}
    found = {"kinds_s": seconds, "operations_s": 4.0, "clock_s": 4.5}
    found |= {"flop": 9e9, "share": 0.5}
    rows = [line.split() for line in profile.table(found).splitlines()]
    assert rows[1] == ["forward", "convolutions", "3.000", "75.0"]
    assert rows[2] == ["batch", "normalisation", "1.000", "25.0"]
    assert rows[3][-2:] == ["4.000", "100.0"] and rows[4][-1] == "4.500"
    assert rows[5][:2] == ["9", "GFLOP"] and "50%" in rows[5]
    assert len(rows) == 6


@pytest.mark.parametrize(
    "words, said", [(["--attempt", "tiles"], "tiles"), (["--steps", "0"], "at least 1")]
)
def test_mistakes_are_one_line(words, said):
    with pytest.raises(UserError, match=said):
        profile.main(words)


@pytest.mark.slow
def test_kinds_of_a_small_step_add_up_to_all_operations(tmp_path):
    file = tmp_path / "profile.json"
    words = "--method pixpro --batch 2 --crop 64 --attempt xla_convolutions --json"
    # One device and a compiler that optimises, as users have them.
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.profile", *words.split(), str(file)],
        env=environment | {"JAX_NUM_CPU_DEVICES": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "attempt: xla_convolutions" in done.stdout.splitlines()[0]
    found = json.loads(file.read_text())
    seconds = found["kinds_s"]
    assert sum(seconds.values()) == pytest.approx(found["operations_s"])
    # Not more than the step took on all cores, and most of it on one.
    assert 0.5 < found["operations_s"] / found["clock_s"] < 1.05 * os.cpu_count()
    assert seconds[kinds.OTHER] < 0.15 * found["operations_s"]
    assert seconds[kinds.TILES] == 0  # that is the attempt
    for kind in (kinds.FORWARD, kinds.KERNELS, kinds.INPUTS, kinds.ONE_TAP, kinds.NORM):
        assert seconds[kind] > 0, kind
    assert 0 < found["share"] < 2 and found["flop"] > 1e9
    assert "--inside" not in found["command"]
