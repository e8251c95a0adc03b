"""Names of published networks: recorded from their libraries, and there and back."""

import json
import re

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights import arrays, guess, namemap
from ppcjax.weights.matching import best_match, maps_of, value_of
from tests.weights.published import recorded, small, without_memory

# What the lists hold besides a backbone: classifiers, poolers, pre-training's tokens.
HEADS = (
    *("num_batches_tracked", "fc.", "classifier", "head.", "pre_logits", "pooler."),
    *("mask_token", "incre_modules", "downsamp_modules", "final_layer"),
)
# Not networks of ppcjax.
FOREIGN = ("timm/resnet50d",)
# Prefixes of wrappers and trainers, and what of two is meant.
WRAPPERS = ("", "module.", "state_dict.module.encoder_q.", "model.", "net.", "0/")
TWO = (("teacher.", "student."), ("encoder_q.", "encoder_k."), ("ema.", "model."))

# Of networks that are large to trace.
LARGE = r".*/(hrnet.*|resnet(34|50|101)|vit_b.*)"


def _cases():
    for key in recorded():
        marks = [pytest.mark.slow] if re.fullmatch(LARGE, key) else []
        if key not in FOREIGN:
            yield pytest.param(key, marks=marks)


NAMINGS = [
    pytest.param(
        *(network, json.dumps(settings), naming),
        marks=[pytest.mark.slow] if network == "hrnet" else [],
    )
    for network in namemap.networks()
    for backbone, settings in namemap.variants(network)
    if backbone == namemap.variants(network)[0][0]
    for naming, names in namemap.namings(network).items()
    if names.style == "torch"
]


def _backbone(key):
    """Backbone and settings of a recorded network."""
    network = key.partition("/")[2]
    if network.endswith("_reg"):
        return network.removesuffix("_reg"), {"registers": 4}
    return (network[:-1], {"stem": "deep"}) if network[-1] == "s" else (network, {})


@pytest.mark.parametrize("key", list(_cases()))
def test_recorded_lists_are_matched_whole(key):
    backbone, settings = _backbone(key)
    leaves = guess.leaves(backbone, settings)
    file = without_memory(recorded()[key])
    match = best_match(leaves, file, maps_of(leaves))
    assert match is not None and not match.missing
    for path, leaf in leaves.items():
        if match.names.terms(path):
            value = value_of(match.names, path, leaf, file, match.prefix)
            assert value.shape == leaf.shape, path
    ours = small(backbone, settings)
    if match.names.naming == "timm_registers":
        ours["pos_embed"][:, 0] = 0
    used = arrays.to_names(ours, match.names).keys()
    rest = {name.removeprefix(match.prefix) for name in file} - used
    assert all(any(head in name for head in HEADS) for name in rest), rest


def _filled(leaves, file):
    match = best_match(leaves, file, maps_of(leaves))
    assert match is not None and not match.missing
    values = {
        path: value_of(match.names, path, leaf, file, match.prefix)
        for path, leaf in leaves.items()
        if match.names.terms(path)
    }
    return values, match


@pytest.mark.parametrize(("network", "settings", "naming"), NAMINGS)
def test_there_and_back_bit_for_bit(network, settings, naming):
    """Of the smallest backbone of each network."""
    leaves = small(namemap.variants(network)[0][0], json.loads(settings))
    names = arrays.writable(leaves).get(naming)
    if names is None:
        return  # not every program has every variant
    if naming == "timm_registers":
        with pytest.raises(UserError, match="no place for the position"):
            arrays.to_names(leaves, names)
        leaves["pos_embed"][:, 0] = 0
    file = arrays.to_names(leaves, names)
    for prefix in WRAPPERS:
        values, match = _filled(leaves, {prefix + n: a for n, a in file.items()})
        assert match.prefix == prefix and match.others == ()
        for path, value in values.items():
            np.testing.assert_array_equal(value, leaves[path], err_msg=path)


@pytest.mark.parametrize(("meant", "other"), TWO)
def test_of_two_networks_in_a_file_one_is_chosen_and_the_other_named(meant, other):
    leaves = small("resnet18", {})
    file = arrays.to_names(leaves, namemap.namings("resnet")["torchvision"])
    both = {other + name: 0 * array for name, array in file.items()}
    both |= {meant + name: array for name, array in file.items()}
    values, match = _filled(leaves, both)
    assert (match.prefix, match.others) == (meant, (other,))
    np.testing.assert_array_equal(values["bn1/scale"], leaves["bn1/scale"])
