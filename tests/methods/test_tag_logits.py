"""Pooling as a setting of PPC: training and prediction agree, padding never wins."""

import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.methods.tag_logits import Pooling
from ppcjax.types import UserError

KEY = jax.random.key(0)
SMALL = {
    **{"name": "ppc", "backbone": "small_resnet", "backbone_settings": {"width": 4}},
    **{"projection": 8, "affinity": (4, 4, 8), "small_view": 16, "maps": "cam"},
    **{"min_pooling": 0.0, "equivariance": 0.0, "cross_equivariance": 0.0},
    **{"cross_prototype": 0.0, "cross_cam": 0.0, "intra": 0.0},
    "jitter": (0.0, 0.0, 0.0, 0.0),
}
KINDS = ("top_k", "lse", "attention")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("corner", [(0, 0), (8, 16), (16, 24)])
def test_padding_cannot_win_wherever_the_photo_lies(kind, corner):
    maps = np.full((1, 4, 6, 3), 1e3, np.float32)
    own = np.random.default_rng(4).standard_normal((1, 2, 3, 3)).astype(np.float32)
    y, x = corner
    maps[:, y // 8 : y // 8 + 2, x // 8 : x // 8 + 3] = own
    pooling = Pooling(pooling=kind)
    found = pooling.of_view(
        maps, (32, 48), np.int32([[y, x, y + 16, x + 24]]), (32, 48)
    )
    np.testing.assert_allclose(found, pooling.of_photo(own, None), rtol=1e-6)


@pytest.mark.parametrize("valid", [(0, 0, 32, 48), (8, 8, 24, 40)])
def test_the_loss_is_of_the_pooled_maps(valid):
    """All cells of a photo that fills its canvas: the mean; of a smaller one, not."""
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), dtype=np.uint8)
    batch = {"image": image, "valid": np.int32([valid]), "tags": np.ones((1, 3))}

    def loss(**settings):
        method = methods.make(SMALL | {"losses_at": "network"} | settings, 3)
        params, state = method.init(KEY, batch)
        return float(jax.jit(method.loss)(params, state, batch, KEY, 0)[0])

    mean, largest = loss(), loss(pooling="top_k", pooling_share=1e-6)
    everywhere = loss(pooling="top_k", pooling_share=1.0)
    assert np.isclose(everywhere, mean, rtol=1e-5) == (valid[0] == 0)
    assert largest < mean  # all tags are shown


@pytest.mark.parametrize("pooling", KINDS)
def test_logits_of_a_padded_photo_are_those_of_the_photo(pooling):
    method = methods.make(SMALL | {"pooling": pooling}, 4)
    height, width = 26, 37
    image = np.random.default_rng(1).integers(0, 256, (1, height, width, 3))
    valid = np.int32([[0, 0, height, width]])
    params, carried = method.init(KEY, {"image": image, "valid": valid})

    def logits(canvas):
        padded = np.full((1, *canvas, 3), 77, np.uint8)
        padded[:, :height, :width] = image
        batch = {"image": padded, "valid": valid}
        return jax.jit(method.predict)(params, carried, batch)["tag_logits"]

    exact = logits((height, width))
    np.testing.assert_allclose(logits((48, 64)), exact, atol=1e-4)
    mean = methods.make(SMALL, 4).predict(
        params, carried, {"image": image.astype(np.uint8), "valid": valid}
    )
    assert np.all(exact[:, 1:] > mean["tag_logits"][:, 1:] - 1e-6)


def test_training_and_prediction_pool_alike():
    maps = np.random.default_rng(2).standard_normal((2, 4, 6, 3)).astype(np.float32)
    extent = np.int32([[3, 5], [4, 6]])
    valid = np.concatenate([np.zeros_like(extent), 8 * extent], 1)
    for kind in KINDS:
        pooling = Pooling(pooling=kind)
        np.testing.assert_array_equal(
            pooling.of_view(maps, (32, 48), valid, (32, 48)),
            pooling.of_photo(maps, extent),
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling_share": 0.2}, "pooling_share=0.2 is for pooling='top_k'"),
        ({"pooling": "lse", "pooling_temperature": 1.0}, "nothing for 'lse'"),
        ({"pooling": "max"}, "config.method.pooling='max'"),
        ({"pooling": "top_k", "pooling_share": 0.0}, "pooling_share=0.0"),
    ],
)
def test_settings_of_another_kind_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | settings, 3)


def test_settings_count():
    maps = np.random.default_rng(3).standard_normal((1, 5, 5, 2)).astype(np.float32)
    for name, values in (
        ("pooling_share", (0.1, 0.8)),
        ("pooling_sharpness", (0.5, 9.0)),
        ("pooling_temperature", (0.5, 9.0)),
    ):
        kind = KINDS[("share", "sharpness", "temperature").index(name.split("_")[1])]
        one, two = (
            Pooling(pooling=kind, **{name: v}).of_photo(maps, None) for v in values
        )
        assert np.abs(one - two).min() > 0.05
