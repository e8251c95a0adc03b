import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.ops import superpixels
from ppcjax.ops.resize import shrink_nearest
from ppcjax.ops.seeds import Seeds, place_seeds


def _waves(size, channels=4):
    i, j = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    waves = [np.sin(0.1 * (c + 1) * i + 0.05 * j) for c in range(channels)]
    return np.stack(waves, axis=-1).astype(np.float32)


def test_disc_of_known_centres():
    """Numbers of an independent float64 computation on formulas."""
    rows, columns = np.meshgrid(np.arange(473), np.arange(473), indexing="ij")
    mask = (rows - 236) ** 2 + (columns - 236) ** 2 <= 120**2
    seeds = place_seeds(shrink_nearest(mask[None], (60, 60))[0])
    wanted = [[30, 30], [24, 25], [24, 35], [35, 24], [35, 36]]
    np.testing.assert_array_equal(seeds.cells, wanted)
    region = mask[::8, ::8]
    assert region.sum() == 716
    run = jax.jit(superpixels.cluster, static_argnames="iterations")
    for steps, slot, centre in (
        (1, 0, (-0.85599, 0.66033, -0.48704, 0.36823)),
        (5, 0, (-0.75345, 0.36222, -0.04444, -0.09280)),
        (10, 0, (-0.73398, 0.30830, 0.02876, -0.15598)),
        (10, 4, (-0.73259, 0.30452, 0.03377, -0.16010)),
    ):
        found = run(_waves(60), region, seeds.cells, iterations=steps)
        np.testing.assert_allclose(found[slot], centre, atol=2e-5)


def test_small_disc_is_its_mean():
    rows, columns = np.meshgrid(np.arange(473), np.arange(473), indexing="ij")
    mask = (rows - 236) ** 2 + (columns - 236) ** 2 <= 45**2
    seeds = place_seeds(shrink_nearest(mask[None], (60, 60)))
    prototypes, valid = superpixels.object_prototypes(
        _waves(60)[None], np.float32(mask[None, ::8, ::8]), seeds, iterations=1
    )
    np.testing.assert_array_equal(valid[0], [True, False, False, False, False])
    wanted = (-0.913752, 0.750743, -0.537787, 0.324288)
    np.testing.assert_allclose(prototypes[0, 0], wanted, atol=2e-6)
    assert np.all(prototypes[0, 1:] == 0)


def test_empty_slots_do_not_touch_the_others():
    features = _waves(12)
    region = features[..., 0] > 0
    seeds = np.int32([[3, 3], [8, 8], [0, 0]])
    both = superpixels.cluster(features, region, seeds[:2], iterations=3)
    padded = superpixels.cluster(features, region, seeds, iterations=3)
    np.testing.assert_allclose(padded[:2], both, rtol=1e-6)


def test_an_empty_object_has_no_prototype():
    seeds = Seeds(jnp.zeros((1, 5, 2), jnp.int32), jnp.array([3]))
    prototypes, valid = superpixels.object_prototypes(
        _waves(12)[None], np.zeros((1, 12, 12), np.float32), seeds, iterations=2
    )
    assert not np.any(valid) and np.all(prototypes == 0)
    found = superpixels.allocate(_waves(12)[None], prototypes, valid, prior="mean")
    chex.assert_tree_all_finite(found)
    assert np.all(found.guide == 0) and np.all(found.prior == 0)


def test_no_prior_leaves_the_guide():
    query, prototypes = _waves(12)[None], _waves(12)[None, 0, :2]
    valid = np.ones((1, 2), bool)
    mean, none = (
        superpixels.allocate(query, prototypes, valid, prior=prior)
        for prior in ("mean", "none")
    )
    assert np.any(mean.prior) and not np.any(none.prior)
    np.testing.assert_array_equal(none.guide, mean.guide)


def test_mean_prior_is_the_same_for_any_number_of_equal_shots():
    query, one = _waves(6)[None], np.float32([[[1, 2, 0, 1], [0, 1, 3, -1]]])
    many = np.concatenate([one, one, one], axis=1)
    for prior, factor in (("mean", 1), ("sum", 3)):
        once = superpixels.allocate(query, one, np.ones((1, 2), bool), prior=prior)
        thrice = superpixels.allocate(query, many, np.ones((1, 6), bool), prior=prior)
        np.testing.assert_allclose(thrice.prior, factor * once.prior, rtol=1e-5)
        np.testing.assert_allclose(thrice.guide, once.guide, rtol=1e-6)


def test_gradient_reaches_queries_and_stops_at_zero_vectors():
    query = _waves(6)[None].copy()
    query[0, 0, 0] = 0.0
    prototypes = np.float32([[[1, 2, 0, 1]]])

    def total(query, prototypes):
        found = superpixels.allocate(
            query, prototypes, jnp.ones((1, 1), bool), prior="mean"
        )
        return jnp.sum(found.prior**2) + jnp.sum(found.guide)

    g_query, _ = jax.grad(total, argnums=(0, 1))(query, prototypes)
    assert np.all(g_query[0, 0, 0] == 0) and np.any(g_query)
    chex.assert_tree_all_finite(g_query)
