"""Examples of another class take the place of those of an episode."""

from typing import NamedTuple

import numpy as np
import pytest

from benchmarks import other_supports
from ppcjax.data_pipelines.episodes.examples import EpisodeExample
from ppcjax.data_pipelines.episodes.plans import Row
from ppcjax.types import IGNORE, UserError


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


def test_examples_inside_out_mark_all_but_the_class():
    mask = np.array([[[[0, 1, IGNORE]]]], np.int32)
    row = Row(np.array([4]), np.array([[0]]), np.array([1]))

    def made():
        yield EpisodeExample(row, {"support_mask": mask, "query_image": 3}, [5])

    (found,) = other_supports.inside_out(made)()
    assert found.arrays["support_mask"].tolist() == [[[[1, 0, IGNORE]]]]
    assert found.arrays["support_mask"].dtype == mask.dtype
    assert found.arrays["query_image"] == 3 and found.truths == [5]
    assert mask.tolist() == [[[[0, 1, IGNORE]]]]


def test_several_ways_have_no_other_side():
    row = Row(np.array([4, 7]), np.array([[0], [1]]), np.array([2]))

    def made():
        yield EpisodeExample(row, {"support_mask": np.zeros((2, 1, 1, 1))}, [5])

    with pytest.raises(UserError, match="several ways"):
        list(other_supports.inside_out(made)())


def test_all_else_is_as_in_an_evaluation(monkeypatch):
    """The program gets its words, and its episodes are whole again at the end."""
    before, seen = other_supports.evaluation.make_eval, []

    def program(words):
        seen.append((words, other_supports.evaluation.make_eval is before))

    monkeypatch.setattr(other_supports.command, "main", program)
    other_supports.main(["--ckpt", "RUN"])
    other_supports.main(["--inside_out", "--ckpt", "RUN"])
    assert seen == [(["--ckpt", "RUN"], False)] * 2
    assert other_supports.evaluation.make_eval is before
