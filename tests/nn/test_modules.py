"""Modules made from settings: what they do not declare ends in one line."""

import inspect
import typing

import pytest

from ppcjax.nn import enrichment, heads, modules
from ppcjax.nn.backbones import BACKBONES
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.vit import VisionTransformer
from ppcjax.types import UserError
from tests.wrong_values import allows, wrong_values

DECLARED = {
    **{name: entry.make for name, entry in BACKBONES.items()},
    **heads.HEADS,
    **enrichment.HEADS,
    "auxiliary": heads.AuxiliaryHead,
    "pyramid": FeaturePyramid,
    "vit": VisionTransformer,
}
# Set by the code, not by a config; or by Flax.
GIVEN = ("num_classes", "dtype", "parent", "name")


@pytest.mark.parametrize("name", DECLARED)
def test_wrong_values_of_fields_are_refused(name):
    declared = DECLARED[name]
    of_class = getattr(declared, "func", declared)
    hints = typing.get_type_hints(of_class, include_extras=True)
    known = inspect.signature(declared).parameters
    given = {"num_classes": 3} if "num_classes" in known else {}
    for field in known:
        if field in GIVEN:
            continue
        assert allows(hints[field], known[field].default)
        wrong = wrong_values(hints[field])
        assert wrong, field
        for value in wrong:
            with pytest.raises(UserError, match=rf"method\.here\.{field}=.*: give"):
                modules.build(declared, {field: value}, where="here", **given)


def test_unknown_and_given_fields_are_no_settings():
    resnet = BACKBONES["resnet18"].make
    for field in ("widht", "depth", "dtype", "parent"):
        with pytest.raises(UserError, match=rf"here\.{field} is not a setting.*stem"):
            modules.build(resnet, {field: 1}, where="here", dtype="float32")
    assert modules.build(resnet, None, where="here").width == 64
    assert modules.build(resnet, {"width": 8}, where="here").width == 8
