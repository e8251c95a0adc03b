"""Runs that start other runs, of the same method or another."""

import contextlib
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.runs import checkpoint
from ppcjax.types import TrainState, UserError
from ppcjax.weights import load_into

SEGMENT = {
    "name": "segment",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "head": "v1",
    "head_settings": {"width": 8},
}


def save(folder, params, model_state, config):
    saver = checkpoint.Checkpoints(
        folder, keep=1, config=config, classes=("background",)
    )
    with contextlib.closing(saver):
        saver.save(TrainState(np.int32(7), params, model_state, ()), 7)
        saver.wait()
    return folder


def drawn(tree, seed=0):
    """Random numbers in the shapes of a tree."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), tree
    )


@pytest.fixture(scope="module")
def segmenter():
    return methods.make(SEGMENT, 3).init(jax.random.key(0), None)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, segmenter):
    """A run as PixPro leaves it: heads and a target of its own beside the backbone."""
    params, state = drawn(segmenter, seed=1)
    online = {"backbone": params["backbone"], "projector": {"kernel": np.ones((4, 2))}}
    stats = {"backbone": state["batch_stats"]["backbone"]}
    model_state = {
        "batch_stats": stats,
        "target": {"backbone": jax.tree.map(np.zeros_like, params["backbone"])},
        "target_stats": jax.tree.map(np.zeros_like, stats),
    }
    config = {"method": {"name": "pixpro", "backbone": "small_resnet"}}
    folder = tmp_path_factory.mktemp("pixpro")
    return save(folder, online, model_state, config), online, stats


def test_pretrained_backbone_starts_a_segmenter(segmenter, pretrained, caplog):
    folder, online, stats = pretrained
    with caplog.at_level(logging.WARNING):
        params, state = load_into(*segmenter, folder)
    assert jax.tree.structure((params, state)) == jax.tree.structure(segmenter)
    for found, wanted in (
        (params["backbone"], online["backbone"]),  # not the target's
        (state["batch_stats"]["backbone"], stats["backbone"]),
        (params["head"], segmenter[0]["head"]),
    ):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    (record,) = caplog.records
    count = len(jax.tree.leaves((online["backbone"], stats)))
    assert f"(pixpro, step 7): loaded backbone ({count}); new: head (" in (
        record.getMessage()
    )


def test_a_segmenter_starts_the_next(segmenter, tmp_path):
    trained = drawn(segmenter, seed=2)
    save(tmp_path, *trained, {"method": SEGMENT})
    params, state = load_into(*segmenter, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, (params, state), trained)
    # More classes: the classifier alone is new.
    wider = methods.make(SEGMENT, 5).init(jax.random.key(0), None)
    params, state = load_into(*wider, tmp_path)
    jax.tree.map(
        np.testing.assert_array_equal, params["head"]["mix"], trained[0]["head"]["mix"]
    )
    jax.tree.map(
        np.testing.assert_array_equal,
        params["head"]["classifier"],
        wider[0]["head"]["classifier"],
    )


def test_another_backbone_is_refused(pretrained):
    wide = {**SEGMENT, "backbone_settings": {"width": 8}}
    state = methods.make(wide, 3).init(jax.random.key(0), None)
    with pytest.raises(
        UserError, match=r"\(small_resnet\) has another backbone: shape"
    ):
        load_into(*state, pretrained[0])
    with pytest.raises(UserError, match="no parameter of .* fits this network"):
        load_into({"other": np.zeros(3)}, {}, pretrained[0])


def test_run_directory_gives_what_fits(tmp_path):
    saved = {"backbone": {"a": np.arange(4.0), "b": np.ones(3)}, "heads": {"c": [7.0]}}
    saved = jax.tree.map(jnp.float32, saved)
    state = TrainState(np.int32(5), saved, {}, ())
    saver = checkpoint.Checkpoints(tmp_path, keep=1, config={}, classes=("background",))
    with contextlib.closing(saver):
        saver.save(state, 5)
        saver.wait()
    wanted = {"backbone": {"a": np.zeros(4)}, "heads": {"c": [np.zeros(2)]}}
    filled, _ = load_into(wanted, {}, tmp_path)
    np.testing.assert_array_equal(filled["backbone"]["a"], np.arange(4.0))
    assert not np.any(filled["heads"]["c"][0])
    for name, there in (("b", r"shape \(3,\)"), ("d", "nothing")):
        other = {"backbone": {"a": np.zeros(4), name: np.zeros(2)}}
        message = f"has another backbone: {there} for backbone/{name}"
        with pytest.raises(UserError, match=message):
            load_into(other, {}, tmp_path)
    with pytest.raises(UserError, match="no parameter of .* fits this network"):
        load_into({"other": np.zeros(1)}, {}, tmp_path)


def test_frozen_statistics_of_a_run_become_batch_statistics(tmp_path):
    """Mean and variance are parameters where they are frozen."""
    saved = {"backbone": {"bn": {"scale": jnp.ones(3), "mean": jnp.arange(3.0)}}}
    saver = checkpoint.Checkpoints(tmp_path, keep=1, config={}, classes=("background",))
    with contextlib.closing(saver):
        saver.save(TrainState(np.int32(5), saved, {}, ()), 5)
        saver.wait()
    params = {"backbone": {"bn": {"scale": np.zeros(3)}}}
    state = {"batch_stats": {"backbone": {"bn": {"mean": np.zeros(3)}}}}
    params, state = load_into(params, state, tmp_path)
    np.testing.assert_array_equal(params["backbone"]["bn"]["scale"], 1)
    stored = state["batch_stats"]["backbone"]["bn"]["mean"]
    np.testing.assert_array_equal(stored, np.arange(3.0))
