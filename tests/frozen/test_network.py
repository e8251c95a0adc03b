"""Features of photos: the same however they are come by."""

import numpy as np
import pytest

from ppcjax.frozen.variables import layout
from ppcjax.nn.frozen import FrozenFeatures
from ppcjax.types import UserError
from tests.frozen.networks import SETTINGS, network

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 40, 48, 3)).astype(np.uint8)
SIZES = np.array([[40, 48], [17, 30], [8, 48]], np.int32)


def test_features_are_those_of_the_photo_alone():
    frozen = network()
    found = frozen.of_photos(IMAGES, SIZES)
    assert found.shape == (3, 5, 6, 12) and found.dtype == np.float16
    for row, image, (rows, columns) in zip(found, IMAGES, SIZES, strict=True):
        alone = np.asarray(frozen.features(image[None, :rows, :columns]))[0]
        cells = alone.shape[:2]
        np.testing.assert_allclose(row[: cells[0], : cells[1]], alone, atol=2e-3)
        assert not row[cells[0] :].any() and not row[:, cells[1] :].any()


def test_what_lies_beside_features_is_found_again():
    """In the order in which the module of the features takes them apart."""
    frozen = network(beside=("attention", "class_attention"))
    found = frozen.of_photos(IMAGES, SIZES)
    net = FrozenFeatures(**layout(frozen.settings))
    parts = net.apply({}, found.astype(np.float32), SIZES)
    plain = network().of_photos(IMAGES, SIZES)
    np.testing.assert_allclose(parts["embedding"], plain, atol=2e-3)
    keys = network(endpoint="keys").of_photos(IMAGES, SIZES)
    np.testing.assert_allclose(parts["keys"], keys, atol=2e-3)
    shares = np.asarray(parts["class_attention"])[..., 0]
    assert shares.shape == found.shape[:3] and np.all(shares >= 0)
    # The class token gives itself the rest.
    cells = np.prod(-(-SIZES // 8), axis=1)
    assert np.all(shares.sum((1, 2)) < cells) and np.all(shares.sum((1, 2)) > 0)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (("class_attention",), ()),
        (("attention", "class_attention"), ()),
        (("attention", "class_attention"), ("class_attention",)),
        (("class_attention", "attention"), ("attention", "class_attention")),
    ],
)
def test_what_is_kept_with_more_beside_it_is_taken(tmp_path, kept, asked):
    fresh = network(beside=asked).of_photos(IMAGES, SIZES)
    network(beside=kept, cache=str(tmp_path)).of_photos(IMAGES, SIZES)
    again = network(beside=asked, cache=str(tmp_path))
    again._compute = None
    np.testing.assert_allclose(again.of_photos(IMAGES, SIZES), fresh, atol=2e-3)


@pytest.mark.parametrize("asked", [("attention",), ("attention", "class_attention")])
def test_what_is_kept_with_less_or_other_beside_it_is_not_taken(tmp_path, asked):
    network(beside=("class_attention",), cache=str(tmp_path)).of_photos(IMAGES, SIZES)
    again = network(beside=asked, cache=str(tmp_path))
    assert again.of_photos(IMAGES, SIZES).shape[-1] == again.width
    assert len(list(tmp_path.rglob("*.features"))) == 6


def test_a_network_without_attention_has_nothing_beside():
    with pytest.raises(UserError, match="small_resnet is no vision transformer"):
        network(
            backbone="small_resnet",
            backbone_settings={"width": 4},
            beside=("attention",),
        )


INNER = {"backbone": "resnet18", "backbone_settings": {"stages": 3}}


@pytest.mark.parametrize(("endpoint", "stride"), [("stage2", 8), ("embedding", 16)])
def test_outputs_of_a_convolutional_network_have_their_own_grids(endpoint, stride):
    frozen = network(**INNER, endpoint=endpoint)
    assert frozen.stride == stride
    found = frozen.of_photos(IMAGES, SIZES)
    for row, image, (rows, columns) in zip(found, IMAGES, SIZES, strict=True):
        alone = np.asarray(frozen.features(image[None, :rows, :columns]))[0]
        cells = alone.shape[:2]
        assert cells == (-(-rows // stride), -(-columns // stride)) and alone.any()
        np.testing.assert_allclose(
            row[: cells[0], : cells[1]], alone, atol=2e-3, rtol=2e-3
        )
        assert not row[cells[0] :].any() and not row[:, cells[1] :].any()


def test_a_grid_without_a_stride_is_refused():
    settings = {"stages": 3, "ceil_pool": True}
    with pytest.raises(UserError, match="ceil_pool"):
        network(backbone="resnet18", backbone_settings=settings)


def test_what_is_kept_is_what_was_computed(tmp_path):
    fresh = network().of_photos(IMAGES, SIZES)
    keeping = network(cache=str(tmp_path))
    np.testing.assert_array_equal(keeping.of_photos(IMAGES, SIZES), fresh)
    again = network(cache=str(tmp_path))
    again._compute = None  # nothing is computed twice
    np.testing.assert_array_equal(again.of_photos(IMAGES, SIZES), fresh)


def test_pixels_beyond_a_photo_do_not_count(tmp_path):
    frozen = network(cache=str(tmp_path))
    first = frozen.of_photos(IMAGES, SIZES)
    other = IMAGES.copy()
    other[1, 17:] = 9
    frozen._compute = None
    np.testing.assert_array_equal(frozen.of_photos(other, SIZES), first)


@pytest.mark.parametrize(
    "more",
    [
        {"endpoint": "keys"},
        {"debias": 2},
        {"beside": ("class_attention",)},
        {"pixel_mean": (0.1, 0.2, 0.3)},
        {"dtype": "bfloat16"},
        {"backbone_settings": {**SETTINGS["backbone_settings"], "heads": 3}},
        {
            "backbone_settings": {
                **SETTINGS["backbone_settings"],
                "positions": "bicubic",
            }
        },
    ],
    ids=str,
)
def test_whatever_changes_features_keeps_them_apart(tmp_path, more):
    one = network(cache=str(tmp_path))
    one.of_photos(IMAGES, SIZES)
    other = network(cache=str(tmp_path), **more)
    assert other.cache.folder != one.cache.folder


def test_where_and_how_many_are_kept_changes_no_name(tmp_path):
    names = {
        network(cache=str(tmp_path), **more).cache.folder
        for more in ({}, {"cache_gib": 1.0}, {"batch_size": 2}, {"weights": "x"})
    }
    assert len(names) == 1


def test_debias_takes_directions_of_places_out():
    frozen = network(debias=3)
    found = np.asarray(frozen.features(IMAGES), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=2e-3)
    np.testing.assert_allclose(found @ frozen._directions, 0, atol=2e-3)
    assert frozen._directions.shape == (12, 3)


def test_no_network_without_a_rest():
    with pytest.raises(UserError, match="leaves nothing"):
        network(debias=12)


def test_no_network_without_its_output():
    with pytest.raises(UserError, match="embedding"):
        network(endpoint="tokens")
