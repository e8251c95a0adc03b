"""Steps that need one another: in order, at the same time where they can be."""

import subprocess
import threading

import pytest

from benchmarks.study_jobs import Step, run


def fail():
    raise subprocess.CalledProcessError(1, ["python", "train.py", "--x"])


def test_steps_wait_for_what_they_need_and_come_once():
    done = []
    steps = [
        Step("last", ("middle", "unknown"), lambda: done.append("last")),
        Step("middle", ("first",), lambda: done.append("middle")),
        Step("first", (), lambda: done.append("first")),
        Step("first", (), fail),
    ]
    assert run(steps) == [] and done == ["first", "middle", "last"]


def test_as_many_as_are_allowed_run_at_the_same_time():
    meet = threading.Barrier(3, timeout=60)
    assert run([Step(str(i), (), meet.wait) for i in range(6)], jobs=3) == []


def test_those_that_came_first_are_begun_first():
    done = []
    steps = [Step(str(i), (), lambda i=i: done.append(i)) for i in range(5)]
    assert run(steps) == [] and done == [0, 1, 2, 3, 4]


def test_a_failure_stops_what_needs_it_alone(capsys):
    done = []
    steps = [
        Step("bad", (), fail),
        Step("needs", ("bad",), lambda: done.append("needs")),
        Step("other", (), lambda: done.append("other")),
    ]
    assert run(steps, jobs=2) == ["bad", "needs"] and done == ["other"]
    assert "failed: bad: train.py --x" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no command"):
        run([Step("wrong", (), lambda: int("no command"))])
