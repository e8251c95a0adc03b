"""The counting of faults itself."""

import pytest

from tests.faults import held

FAULTS = [held.Fault(str(n), n) for n in range(9)]


def odd_breaks(number):
    assert number % 2 == 0, f"{number} is odd"


def test_what_is_not_held_is_named_and_counted():
    noted = []
    with pytest.raises(AssertionError, match="numbers: not held 4 of 9:\n1: .*1 is"):
        held.all_held("numbers", FAULTS, odd_breaks, lambda *pair: noted.append(pair))
    assert noted == [("held", "numbers: held 5 of 9")]


def test_a_suite_that_cannot_fail_is_noticed():
    held.some_break(FAULTS, odd_breaks, "the guard")
    with pytest.raises(AssertionError, match="9 faults are held without the guard"):
        held.some_break(FAULTS, lambda _: None, "the guard")


def test_few_faults_are_the_first_of_many():
    def draw(rng):
        return held.Fault("", int(rng.integers(1000)))

    assert list(held.drawn(draw, 3)) == list(held.drawn(draw, 9))[:3]
    assert list(held.cycled(FAULTS, 3)) == list(held.cycled(FAULTS, 9))[:3]
    assert sorted(held.cycled(FAULTS, 9)) == FAULTS
