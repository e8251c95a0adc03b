"""A side in a process of its own does what it is told, and its end is said."""

import sys

import pytest

from benchmarks import race
from benchmarks.apart import Apart
from ppcjax.types import UserError

CHILD = """
import os, sys
from benchmarks.apart import own_stdout, serve

class Side:
    loss = program = None

    def start(self):
        if "broken" in sys.argv:
            raise MemoryError("too large\\nwith more lines")
        self.held = bytearray(int(os.environ.get("MIB", 0)) * 2**20)
        self.program = 3.5
        print("what a library prints")
        return 0.25

    def run(self, steps):
        if "ends" in sys.argv:
            os._exit(7)
        self.loss = float(steps)
        return steps / 10

answers = own_stdout()
serve(Side(), sys.stdin, answers)
"""


def _side(*words, name="torch", **environment):
    return Apart(name, [sys.executable, "-c", CHILD, *words], environment)


def test_runs_as_told_and_tells_its_memory():
    small, large = _side(MIB="0"), _side(MIB="200")
    for side in (small, large):
        assert side.start() == 0.25 and side.program == 3.5
        assert side.run(3) == pytest.approx(0.3) and side.loss == 3.0
    assert 150 < large.memory() - small.memory() < 250
    children = [side.child for side in (small, large)]
    for side in (small, large):
        side.close()
        side.close()  # once more does nothing
    assert [child.returncode for child in children] == [0, 0]


def test_a_side_that_cannot_start_says_why_and_has_ended():
    side = _side("broken")
    with pytest.raises(RuntimeError, match="torch: MemoryError: too large$"):
        side.start()
    assert side.child is None


def test_an_end_in_the_middle_is_one_line():
    side = _side("ends")
    side.start()
    with pytest.raises(UserError, match="torch: its process ended with status 7 at"):
        side.run(2)
    side.close()


def test_sides_on_a_cpu_are_apart_and_on_a_gpu_together(monkeypatch):
    parse = race.arguments().parse_args
    argv = ["--layouts", "nhwc", "nchw", "--compile"]
    sides = race.make_sides(parse(argv), argv, {}, 2)
    names = ["ppcjax", "torch nhwc", "torch nhwc compiled", "torch nchw"]
    assert [side.name for side in sides] == [*names, "torch nchw compiled"]
    assert {type(side) for side in sides} == {Apart}
    assert all(side.command[-2:] == ["--serve", side.name] for side in sides)
    assert all(side.environment == race.ALLOCATOR for side in sides)

    made = []
    monkeypatch.setattr(race, "make_side", lambda name, *rest: made.append(name))
    argv = ["--device", "gpu", "--only", "torch"]
    race.make_sides(parse(argv), argv, {}, 2)
    assert made == ["torch nhwc"]
