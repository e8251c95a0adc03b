"""Examples of another class take the place of those of an episode."""

from typing import NamedTuple

import numpy as np
import pytest

from benchmarks import other_supports
from ppcjax.data_pipelines.episodes.examples import EpisodeExample
from ppcjax.data_pipelines.episodes.plans import Row
from ppcjax.types import UserError


class Episodes(NamedTuple):
    """Episodes that tell what they are made of."""

    classes: tuple[int, ...]

    def __call__(self, marks):
        assert marks == "masks"
        for number, class_id in enumerate(self.classes):
            row = Row(np.array([class_id]), np.array([[number]]), np.array([number]))
            names = (*other_supports._OF_SUPPORTS, "query_image")
            yield EpisodeExample(row, dict.fromkeys(names, number), [number])


def test_supports_are_those_of_the_next_other_class():
    classes = (4, 4, 7, 4, 7)
    found = list(other_supports.swapping(Episodes(classes))(marks="masks"))
    assert [e.arrays["query_image"] for e in found] == [0, 1, 2, 3, 4]
    assert [e.truths for e in found] == [[0], [1], [2], [3], [4]]
    for name in other_supports._OF_SUPPORTS:
        assert [e.arrays[name] for e in found] == [2, 2, 3, 4, 0]


def test_one_class_is_an_error():
    with pytest.raises(UserError, match="one class"):
        list(other_supports.swapping(Episodes((4, 4)))(marks="masks"))


def test_all_else_is_as_in_an_evaluation(monkeypatch):
    """The program gets its words, and its episodes are whole again at the end."""
    before, seen = other_supports.evaluation.make_eval, []

    def program(words):
        seen.append((words, other_supports.evaluation.make_eval is before))

    monkeypatch.setattr(other_supports.command, "main", program)
    other_supports.main(["--ckpt", "RUN"])
    assert seen == [(["--ckpt", "RUN"], False)]
    assert other_supports.evaluation.make_eval is before
