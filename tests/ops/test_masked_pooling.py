import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops.masked_pooling import (
    cosine_map,
    masked_average,
    masked_sums,
    resize_adjoint,
)
from ppcjax.ops.resize import resize

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((2, 5, 6, 3)).astype(np.float32)
MASKS = RNG.random((2, 33, 41, 2)).astype(np.float32)


@pytest.mark.parametrize("align_corners", [False, True])
def test_pooling_by_the_adjoint_equals_full_size_pooling(align_corners):
    full = resize(FEATURES, (33, 41), align_corners=align_corners)
    wanted = jnp.einsum("bhwd,bhwj->bjd", full, MASKS)
    sums, area = masked_sums(FEATURES, MASKS, align_corners=align_corners)
    np.testing.assert_allclose(sums, wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(area, MASKS.sum((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("at", ["image", "grid"])
def test_padding_changes_nothing(at):
    exact = masked_sums(FEATURES, MASKS, align_corners=False, at=at)
    features = np.full((2, 8, 8, 3), 9, np.float32)
    features[:, :5, :6] = FEATURES
    masks = np.zeros((2, 48, 48, 2), np.float32)
    masks[:, :33, :41] = MASKS
    padded = masked_sums(
        features,
        masks,
        align_corners=False,
        at=at,
        grid_extent=np.int32([[5, 6]] * 2),
        extent=np.int32([[33, 41]] * 2),
    )
    chex.assert_trees_all_close(padded, exact, rtol=1e-4)


def test_adjoint_of_the_identity():
    np.testing.assert_array_equal(
        resize_adjoint(FEATURES, (5, 6), align_corners=False), FEATURES
    )


def test_empty_mask_gives_zero_with_finite_gradients():
    def score(features, masks):
        sums, area = masked_sums(features, masks, align_corners=False)
        return jnp.sum(cosine_map(features, masked_average(sums, area)))

    value, gradient = jax.value_and_grad(score)(FEATURES, np.zeros_like(MASKS))
    assert value == 0
    chex.assert_tree_all_finite(gradient)


def test_cosine_ignores_length():
    prototypes = RNG.standard_normal((2, 4, 3)).astype(np.float32)
    one, two = cosine_map(FEATURES, prototypes), cosine_map(3 * FEATURES, prototypes)
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert one.shape == (2, 5, 6, 4) and np.abs(one).max() <= 1 + 1e-6
