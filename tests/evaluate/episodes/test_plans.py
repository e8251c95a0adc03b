"""What is evaluated where photos are few: known and said before the first episode."""

import numpy as np
import pytest

from ppcjax.data_pipelines.episodes.plans import class_index
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.episodes.plans import are_named, describe_left_out, possible
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.types import UserError

NAMES = ("background", "cow", "grass", "sky")


def index_of(*photos):
    """An index of classes with so many photos each."""
    counts = np.zeros((sum(photos), len(NAMES)), int)
    counts[np.arange(sum(photos)), np.repeat(np.arange(1, len(photos) + 1), photos)] = 9
    source = Source("animals", NAMES, tuple(map(str, range(sum(photos)))), None)
    return class_index(source, counts, range(1, len(photos) + 1), min_pixels=1)


def found(photos, shots=(1, 5), *, typed=False, named=True, **settings):
    settings = EpisodeSettings(shots=shots, **settings)
    return possible(settings, index_of(*photos), all_shots=typed, all_classes=named)


def test_shots_for_which_photos_are_too_few_are_left_out():
    left = found((4, 7))
    assert left.shots == (1,) and left.index.classes == (1, 2)
    assert describe_left_out(left) == [
        "5 shots need 6 photos of a class, cow has 4; evaluated with 1 shot"
    ]


def test_nothing_is_left_out_where_photos_are_enough():
    left = found((6, 7))
    assert left.shots == (1, 5) and not left.left_out


def test_shots_that_somebody_typed_are_an_error():
    with pytest.raises(UserError, match="5 shots need 6 photos of a class, cow has 4"):
        found((4, 7), typed=True)


@pytest.mark.parametrize(
    ("shots", "need"), [((5,), "5 shots need 6"), ((1,), "1 shot")]
)
def test_no_number_of_shots_is_an_error(shots, need):
    with pytest.raises(UserError, match=need) as caught:
        found((1, 2), shots)
    assert "\n" not in str(caught.value)


def test_class_that_nobody_named_is_left_out():
    left = found((0, 7, 8), named=False)
    assert left.index.classes == (2, 3) and left.shots == (1, 5)
    assert describe_left_out(left) == [
        "2 photos of a class are needed, cow has 0; that class is left out"
    ]


@pytest.mark.parametrize("which", ["novel", "validation", "base"])
@pytest.mark.parametrize("given", ["", "validation_classes", "train_classes"])
def test_only_classes_that_somebody_named_are_needed(which, given):
    """A checkpoint is chosen on all that is left, where nobody names a class for it."""
    data = {"novel": ("cow",), "validation_classes": (), "train_classes": ()}
    data |= {given: ("sky",)} if given else {}
    needed = which == "novel" or given == "train_classes"
    needed |= (which, given) == ("validation", "validation_classes")
    assert are_named(data, which) == needed


def test_pixels_that_a_photo_must_show_are_said():
    assert (
        "cow has 0 that show 50 pixels"
        in describe_left_out(found((0, 7), named=False, min_pixels=50))[0]
    )


@pytest.mark.parametrize("count", range(2, 12))
@pytest.mark.parametrize("shots", [(1, 5), (1, 2, 3, 10), (3, 1)])
def test_shots_are_those_for_which_every_class_has_photos(count, shots):
    fitting = tuple(shot for shot in shots if count > shot)
    assert found((count, 12), shots).shots == fitting
