"""Settings declared by annotations: checked, read, said in words."""

import dataclasses
import math
from typing import Annotated, Literal

import numpy as np
import pytest

from ppcjax import fields
from ppcjax.fields import Length, OneOf, Range
from ppcjax.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of terms.

    first: weight of the first term,
        which is always there.
    second: weight of the second term.
    """

    first: Annotated[float, Range(0)] = 1.0
    second: Annotated[float, Range(0)] = 0.5


def train(
    data,
    *,
    weights: Weights,
    batch: Annotated[int, Range(1), "photos"],
    scales: Annotated[tuple[Annotated[float, Range(above=0)], ...], Length(1)] = (1.0,),
    mode: Literal["fast", "slow"] = "fast",
    net: Annotated[str, OneOf({"big": 1, "small": 2})] = "big",
    size: Annotated[int, Range(8, 64), "pixels"] | None = None,
    verbose: bool = False,
):
    """Trains.

    Args:
        data: what is learnt from.
        batch: photos of a step.
        scales: factors of the sides.
    """
    return data, weights, batch, scales, mode, net, size, verbose


def build(**settings):
    return fields.build(train, settings, where="config.x", what="training", data=1)


def test_groups_stand_beside_the_other_settings():
    found = build(batch=2, second=3, scales=[1, 2])
    assert found[1] == Weights(first=1.0, second=3.0)
    assert found[3] == (1.0, 2.0) and found[0] == 1
    declared = fields.fields_of(train, without=("data",))
    assert list(declared)[:3] == ["first", "second", "batch"]
    assert declared["first"].group == "weights"
    assert declared["first"].text == "weight of the first term, which is always there."
    assert declared["batch"].text == "photos of a step."


def test_flat_gives_what_a_config_would_hold():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Outer:
        weights: Weights = Weights(first=2.0)
        name: str = "x"

    assert fields.flat(Outer()) == {"first": 2.0, "second": 0.5, "name": "x"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "config.x.batch is missing; training needs it: give a whole number of"),
        ({"batch": 0}, "config.x.batch=0: give a whole number of at least 1 (photos)"),
        ({"batch": 1.5}, "config.x.batch=1.5: give a whole number"),
        ({"batch": True}, "config.x.batch=True: give a whole number"),
        ({"batch": 2**70}, "at most 2,147,483,647"),
        ({"batch": 10**400}, "at most 2,147,483,647"),
        ({"batch": 1, "first": -(10**400)}, "at most 1,000,000,000,000"),
        ({"batch": 1, "scales": [1, 10**400]}, "give a list of at least one"),
        ({"batch": 1, "first": math.nan}, "config.x.first=nan: give a number of at"),
        ({"batch": 1, "scales": []}, "config.x.scales=[]: give a list of at least one"),
        ({"batch": 1, "scales": 1.0}, "config.x.scales=1.0: give a list"),
        ({"batch": 1, "mode": "fst"}, "config.x.mode='fst': give one of fast, slow"),
        ({"batch": 1, "mode": np.arange(2)}, "give one of fast, slow"),
        ({"batch": 1, "net": "huge"}, "config.x.net='huge': give one of big, small"),
        ({"batch": 1, "size": 7}, "config.x.size=7: give a whole number of at least 8"),
        ({"batch": 1, "btach": 2}, "config.x.btach is not a setting of training; its"),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(settings, message):
    with pytest.raises(UserError) as caught:
        build(**settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "ambiguous" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("scales", "0.5,1", (0.5, 1.0)),
        ("scales", "(0.5, 1)", (0.5, 1.0)),
        ("size", "None", None),
        ("size", "16", 16),
        ("verbose", "True", True),
        ("verbose", "0", False),
        ("net", "small", "small"),
        ("first", "1e-3", 1e-3),
    ],
)
def test_values_of_the_command_line(name, text, value):
    hint = fields.fields_of(train, without=("data",))[name].hint
    assert fields.parse(hint, text, "--x") == value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("batch", "a whole number of at least 1 (photos)"),
        ("size", "a whole number of at least 8 and at most 64 (pixels) or None"),
        ("mode", "one of fast, slow"),
        ("scales", "a list of at least one item, each a number above 0"),
        ("verbose", "true or false"),
    ],
)
def test_what_is_allowed_in_words(name, words):
    hint = fields.fields_of(train, without=("data",))[name].hint
    assert fields.describe(hint) == words
