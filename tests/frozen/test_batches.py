"""Methods on a frozen network: the same of photos, of features, of features kept."""

import dataclasses
import os

import jax
import numpy as np
import pytest

from ppcjax.fields import fields_of
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.types import UserError
from tests import batches
from tests.frozen.networks import network
from tests.small_methods import FACTORIES, NAMES, make

ON_FROZEN = {"backbone": "frozen", "backbone_settings": {"width": 12, "stride": 8}}
# Settings that change colours, and their values for none.
NO_COLOURS = {
    "jitter": (0.0, 0.0, 0.0, 0.0),
    "hsv_shift": 0,
    "brightness_shift": 0,
    "blur": 0.0,
}
# What a frozen network leaves a method to learn.
LEARNABLE = {
    "affinity_from": "projection",
    "affinity": (64, 128, 192),  # of a mixture, as it is by itself
    "min_pooling": 0.0,
    "cross_equivariance": 0.0,
}


def _without_colours(name):
    declared = fields_of(FACTORIES[name], without=("num_classes",))
    wanted = NO_COLOURS | (LEARNABLE if "affinity_from" in declared else {})
    return {k: value for k, value in wanted.items() if k in declared}


def _on_frozen(name):
    try:
        method = make(name, **ON_FROZEN, **_without_colours(name))
    except UserError as error:
        assert name == "pixpro" and "frozen" in str(error)
        pytest.skip(str(error))
    return attached(method, network())


BACKED = [name for name in NAMES if name != "toy"]


@pytest.mark.parametrize("name", BACKED)
def test_a_method_sees_the_same_in_photos_and_in_features(name):
    method = _on_frozen(name)
    if method.loss is None:
        pytest.skip("nothing is trained")
    batch = batches.to_train(method)
    looked = method.look(batch)
    params, state = method.init(jax.random.key(0), looked)
    key = jax.random.key(1)
    plain = {k: v for k, v in looked.items() if k != "second_image"}
    loss = jax.jit(method.loss)
    found, expected, whole = (
        loss(params, state, x, key, 0)[0] for x in (plain, batch, looked)
    )
    assert np.isfinite(found) and np.isfinite(whole)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert ("second_image" in looked) == bool(method.second_view)


@pytest.mark.parametrize("name", BACKED)
def test_predictions_are_the_same(name):
    method = _on_frozen(name)
    batch = batches.to_predict(method)
    looked = method.look(batch)
    kept_state = method.keep(*method.init(jax.random.key(0), looked))
    found, expected = (jax.jit(method.predict)(*kept_state, x) for x in (looked, batch))
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=5e-3, err_msg=name)


def test_photos_move_to_the_corner_with_all_that_lies_on_them():
    method = attached(make("segment", **ON_FROZEN, hsv_shift=0), network())
    batch = batches.dense()
    size = batches.SIDE
    moved = {k: np.array(v) for k, v in batch.items()}
    rows, columns = size - 6, size - 3
    for name in ("image", "mask", "saliency"):
        moved[name] = np.roll(batch[name], (6, 3), (1, 2))
    moved["valid"] = np.tile(np.int32([6, 3, size, size]), (len(batch["image"]), 1))
    corner = {**batch, "valid": moved["valid"] - np.int32([6, 3, 6, 3])}
    found, expected = method.look(moved), method.look(corner)
    np.testing.assert_array_equal(found["image"], expected["image"])
    np.testing.assert_array_equal(found["valid"], expected["valid"])
    for name in ("mask", "saliency"):
        np.testing.assert_array_equal(
            found[name][:, :rows, :columns], expected[name][:, :rows, :columns]
        )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"method": {"backbone": "frozen"}}, "needs config.frozen"),
        ({"method": {"backbone": "vgg16"}, "frozen": {}}, "leave config.frozen out"),
        ({"method": {"backbone": "frozen"}, "frozen": {"x": 1}}, "config.frozen.x"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said(config, words):
    with pytest.raises(UserError, match=words):
        kept.settings_of(config)


def test_the_network_of_a_run_is_that_it_began_with(tmp_path):
    frozen = network()
    kept.keep(tmp_path, frozen)
    again = kept.needed(tmp_path, frozen.settings)
    assert again.digest == frozen.digest
    for a, b in zip(
        jax.tree.leaves(again.variables), jax.tree.leaves(frozen.variables), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    content = bytearray((tmp_path / kept.FILE).read_bytes())
    content[100] ^= 1
    (tmp_path / kept.FILE).write_bytes(content)
    noted = dataclasses.replace(frozen.settings, digest=frozen.digest)
    with pytest.raises(UserError, match="damaged"):
        kept.needed(tmp_path, noted)


def _written(file, how, values):
    """A network's file as others may leave it."""
    if how == "longer":  # than any memory, and than what the disk holds of it
        with file.open("r+b") as stream:
            stream.truncate(2**43)
    elif how == "npy":
        with file.open("wb") as stream:
            np.save(stream, values)
    elif how == "float64":
        values.astype("<f8").tofile(file)
    elif how == "big-endian":
        values.astype(">f4").tofile(file)
    else:
        size = {"empty": 0, "shorter": 4 * len(values) - 4, "byte": 4 * len(values) + 1}
        file.write_bytes((values.tobytes() + bytes(1))[: size[how]])


@pytest.mark.parametrize(
    "how", ["empty", "shorter", "byte", "longer", "npy", "float64", "big-endian"]
)
def test_a_file_of_anything_else_is_one_line(tmp_path, how):
    frozen = network()
    kept.keep(tmp_path, frozen)
    file = tmp_path / kept.FILE
    _written(file, how, np.fromfile(file, "<f4"))
    noted = dataclasses.replace(frozen.settings, digest=frozen.digest)
    # A run that notes no digest knows others by their size alone.
    for settings in (noted,) if how == "big-endian" else (noted, frozen.settings):
        with pytest.raises(UserError, match="damaged") as caught:
            kept.needed(tmp_path, settings)
        said = str(caught.value)
        assert said.startswith(f"{file} ") and "\n" not in said
        assert how == "big-endian" or f"{file.stat().st_size:,} bytes" in said


def test_a_pipe_in_the_place_of_a_network_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / kept.FILE)
    with pytest.raises(UserError, match="is missing"):
        kept.needed(tmp_path, network().settings)
