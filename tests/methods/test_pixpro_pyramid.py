"""PixPro on a feature pyramid."""

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.methods import pixpro_terms as terms
from ppcjax.nn.backbones import Backbone
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.init import initialize
from ppcjax.nn.pixpro_net import Maps, PixProNet, Projector, Transform, init_rules
from ppcjax.types import UserError

# Compiling the pyramid's step takes longer than all that is tested of it.
pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
# Without the colours of two views, which take the longest to compile.
SETTINGS = {
    "name": "pixpro",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "pyramid": {"endpoints": ("stage4",), "width": 6, "coarser": 1},
    "projector": (16, 8),
    "momentum_steps": 20,
    "jitter_share": 0.0,
}
GRIDS = [(9, 7), (5, 4)]  # of crops of 34 x 27 pixels


def _batch():
    rng = np.random.default_rng(0)
    boxes = np.float32(((0.0, 0.0, 0.6, 0.6), (0.3, 0.2, 0.9, 0.8)))
    image = rng.integers(0, 256, (2, 2, 34, 27, 3), dtype=np.uint8)
    return {"image": image, "box": np.tile(boxes, (2, 1, 1))}


def _level(rng, grid):
    feature, projection, value = rng.standard_normal((3, 2, *grid, 8))
    return Maps(*(x.astype(np.float32) for x in (feature, projection, value)))


@pytest.fixture(scope="module")
def step():
    """The method, its state and what one loss of it gives with gradients."""
    method = methods.make(SETTINGS, 1)
    params, state = method.init(KEY, _batch())
    # The target of another network, so that it moves.
    state |= {"target": jax.tree.map(lambda leaf: leaf + 0.5, state["target"])}
    value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    return method, params, state, value_and_grad(params, state, _batch(), KEY, 3)


def test_state_and_scalars(step):
    _, params, state, ((loss, (after, scalars)), _) = step
    assert set(params) == {"backbone", "pyramid", "projector", "transform"}
    assert set(params["pyramid"]) == {
        *("lateral_stage4", "output_stage4", "coarser1"),
    }
    assert set(state["target"]) == {"backbone", "pyramid", "projector"}
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    chex.assert_tree_all_finite(after)
    mean = (scalars["loss/level1"] + scalars["loss/level2"]) / 2
    np.testing.assert_allclose(loss, mean, rtol=1e-6)
    np.testing.assert_allclose(scalars["loss/pixel"], mean, rtol=1e-6)
    assert scalars["loss/level1"] != scalars["loss/level2"]
    assert "loss/level3" not in scalars


def test_gradients_are_finite_and_reach_the_pyramid(step):
    *_, (_, grads) = step
    chex.assert_tree_all_finite(grads)
    for part in ("pyramid", "transform"):
        assert all(jax.tree.leaves(jax.tree.map(np.any, grads[part]))), part
    assert np.any(grads["backbone"]["stem"]["conv"]["kernel"])


def test_target_follows(step):
    _, params, state, ((_, (after, scalars)), _) = step
    expected = terms.moving_average(
        state["target"], terms.target_parts(params), scalars["stat/momentum"]
    )
    chex.assert_trees_all_close(after["target"], expected, rtol=1e-5)


def test_a_term_of_each_level_on_its_own_grid():
    rng = np.random.default_rng(1)
    views = [[_level(rng, grid) for grid in GRIDS] for _ in range(4)]
    pyramids = [Maps(levels[0].feature, pyramid=tuple(levels)) for levels in views]
    box = _batch()["box"]

    @jax.jit
    def compare(pyramids, views):
        """What all levels give together, and each alone."""
        together = terms.pixel_loss(pyramids[:2], pyramids[2:], box, terms.Pixels())
        alone = [
            terms.pixel_loss(level[:2], level[2:], box, terms.Pixels())
            for level in zip(*views, strict=True)
        ]
        return together, alone

    (found, counts), alone = compare(pyramids, views)
    assert found.shape == (2,) and counts.shape == (2, 2)
    for i, (loss, count) in enumerate(alone):
        np.testing.assert_allclose(loss, found[i : i + 1], rtol=1e-5)
        np.testing.assert_array_equal(count[0], counts[i])
    # Cells of their own size: a finer grid has more pairs.
    assert np.all(counts[0] > counts[1])


class Steps(nn.Module):
    """In the place of a backbone: the image at two strides."""

    def __call__(self, x, extent=None, *, train=False):
        return {"fine": x[:, ::4, ::4], "embedding": x[:, ::8, ::8]}


@pytest.mark.parametrize("names", [("fine",), ("fine", "embedding")])
def test_levels_share_heads_and_their_statistics(names):
    """With one level all is as on that map alone."""
    image = np.random.default_rng(2).standard_normal((2, 34, 27, 3)).astype(np.float32)
    heads = {
        "pyramid": FeaturePyramid(names, width=6, coarser=0),
        "projector": Projector(16, 8),
        "transform": Transform(1),
    }
    net = PixProNet(Steps(), **heads)
    variables = initialize(net, KEY, image, rules=init_rules(Backbone(Steps)))
    train = {"train": True, "mutable": ["batch_stats"]}
    maps, after = jax.jit(lambda v: net.apply(v, image, **train))(variables)
    assert maps.projection is None and maps.value is None
    pyramid = {"params": variables["params"]["pyramid"]}
    levels = jax.jit(lambda v: net.pyramid.apply(v, Steps()(image), (34, 27)))(pyramid)
    chex.assert_trees_all_close([x.feature for x in maps.levels], levels, rtol=1e-5)
    cells = np.concatenate([np.reshape(x, (2, -1, 1, 6)) for x in levels], axis=1)
    projector = {k: tree["projector"] for k, tree in variables.items()}
    apply = jax.jit(lambda v: net.projector.apply(v, cells, **train))
    together, moved = apply(projector)
    found = [np.reshape(x.projection, (2, -1, 1, 8)) for x in maps.levels]
    np.testing.assert_allclose(np.concatenate(found, 1), together, atol=1e-5)
    statistics = after["batch_stats"]["projector"], moved["batch_stats"]
    chex.assert_trees_all_close(*statistics, rtol=1e-4, atol=1e-6)
    kernel, bias = (
        variables["params"]["transform"]["linear1"]["conv"][k]
        for k in ("kernel", "bias")
    )
    for level in maps.levels:
        value = np.asarray(level.projection) @ kernel[0, 0] + bias
        np.testing.assert_allclose(level.value, value, atol=1e-5)


def test_predictions_are_of_the_finest_level(step):
    method, params, state, _ = step
    batch = {
        "image": np.zeros((1, 34, 27, 3), np.uint8) + np.uint8(9),
        "valid": np.int32([[0, 0, 20, 27]]),
    }
    out = jax.jit(method.predict)(params, state, batch)
    assert out["embedding"].shape == (1, 9, 7, 8)
    assert out["feature"].shape == (1, 9, 7, 16)
    norms = np.linalg.norm(out["embedding"], axis=-1)
    np.testing.assert_allclose(norms[:, :5], 1, rtol=1e-5)
    assert not norms[:, 5:].any()


def test_initial_weights_of_the_projector():
    """Its inputs are those of the pyramid, not of the backbone."""
    params, _ = methods.make(SETTINGS, 1).init(KEY, None)
    kernel = params["projector"]["linear1"]["conv"]["kernel"]
    assert kernel.shape == (1, 1, 6, 16)
    assert 0.9 * 6**-0.5 < np.abs(kernel).max() <= 6**-0.5


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"pixel_weight": 0.0, "instance_weight": 1.0}, "serves the pixel branch"),
        (
            {"pyramid": {"levels": 3}},
            "pyramid.levels is not a setting; there are",
        ),
        ({"pyramid": {"width": 0}}, "pyramid.width=0: give"),
    ],
)
def test_settings_outside_their_range(setting, message):
    with pytest.raises(UserError, match=message):
        methods.make(SETTINGS | setting, 1)


def test_unknown_stage():
    with pytest.raises(UserError, match="'stage2'; it has stage3, stage4"):
        methods.make(SETTINGS | {"pyramid": {"endpoints": ("stage2",)}}, 1)
