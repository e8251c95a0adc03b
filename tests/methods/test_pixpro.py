import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.methods import pixpro_terms as terms
from ppcjax.train import mesh, optim, step
from ppcjax.types import UserError

KEY = jax.random.key(0)
SMALL = {
    "name": "pixpro",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "projector": (16, 8),
    "momentum_steps": 20,
}
# Both views of an image are then the same where crops are.
PLAIN = SMALL | {
    "loss": "consistency",
    "jitter_share": 0.0,
    "greyscale_share": 0.0,
    "blur_shares": (0.0, 0.0),
    "solarize_shares": (0.0, 0.0),
}
WHOLE = (0.0, 0.0, 1.0, 1.0)


def _batch(boxes=((0.0, 0.0, 0.6, 0.6), (0.3, 0.2, 0.9, 0.8)), images=4, size=32):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (images, 2, size, size, 3), dtype=np.uint8)
    return {"image": image, "box": np.tile(np.float32(boxes), (images, 1, 1))}


def _twins():
    batch = _batch((WHOLE, WHOLE))
    image = np.repeat(batch["image"][:, :1], 2, axis=1)
    return {"image": image, "box": batch["box"]}


def _compiled(settings):
    method = methods.make(settings, 1)
    params, state = method.init(KEY, _batch())
    return method, params, state, jax.jit(jax.value_and_grad(method.loss, has_aux=True))


@pytest.fixture(scope="module")
def small():
    """PixPro as released; its first state; its jitted loss with gradients."""
    return _compiled(SMALL)


@pytest.fixture(scope="module")
def plain():
    """Consistency without propagation and colour, likewise."""
    return _compiled(PLAIN)


def test_scalars_state_and_gradients(small):
    _, params, state, value_and_grad = small
    (loss, (after, scalars)), grads = value_and_grad(params, state, _batch(), KEY, 3)
    assert set(scalars) == {
        *("loss/pixel", "stat/positives", "stat/empty"),
        *("stat/momentum", "stat/channel_std"),
        *("stat/cosine_between", "stat/cosine_within"),
    }
    assert loss.dtype == jnp.float32 and -4 <= loss <= 4
    np.testing.assert_allclose(scalars["stat/momentum"], 1 - 0.01 * 0.94550326)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    chex.assert_tree_all_finite((grads, after))
    assert set(state["target"]) == {"backbone", "projector"}
    assert set(params) == {"backbone", "projector", "transform"}
    # Zero scales close the branches of the backbone at first, and open in one step.
    assert all(jax.tree.leaves(jax.tree.map(np.any, grads["transform"])))


def test_crops_without_common_place_give_zero_and_finite_gradients(small):
    _, params, state, value_and_grad = small
    batch = _batch(((0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 0.9, 0.9)))
    (loss, (after, scalars)), grads = value_and_grad(params, state, batch, KEY, 0)
    assert loss == 0 and scalars["stat/empty"] == 1
    chex.assert_tree_all_finite(after)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads))


@pytest.mark.slow
def test_identical_views_reach_the_minimum(plain):
    _, params, state, value_and_grad = plain
    (loss, (_, scalars)), _ = value_and_grad(params, state, _twins(), KEY, 0)
    np.testing.assert_allclose(loss, -4.0, rtol=1e-5)
    assert scalars["stat/positives"] == 64


@pytest.mark.slow
def test_order_of_a_step(plain):
    """The target moves before it is used; all statistics move once for each view."""
    _, params, state, value_and_grad = plain
    other = jax.tree.map(lambda leaf: leaf + 0.5, state["target"])
    before = state | {"target": other}
    (loss, (after, scalars)), grads = value_and_grad(params, before, _twins(), KEY, 7)
    m = scalars["stat/momentum"]
    expected = terms.moving_average(other, terms.target_parts(params), m)
    chex.assert_trees_all_close(after["target"], expected, rtol=1e-6)
    # The loss is that of the moved target: at momentum 1 of `expected` it is the same.
    late = before | {"target": expected}
    (again, (kept, _)), _ = value_and_grad(params, late, _twins(), KEY, 20)
    chex.assert_trees_all_close(kept["target"], expected)
    np.testing.assert_allclose(loss, again, rtol=1e-5)
    # Both views are the same: 1 - 0.9^2 of the batch's mean, from 0.
    stem = ("backbone", "BatchNorm_0")
    mean, var = (after["batch_stats"][stem[0]][stem[1]][k] for k in ("mean", "var"))
    of_twins, state_of_one = _stem_statistics(params, _twins()["image"][:, 0])
    np.testing.assert_allclose(mean, 0.19 * of_twins, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(var, 0.81 + 0.19 * state_of_one, rtol=1e-4)
    target_mean = after["target_stats"]["backbone"]["BatchNorm_0"]["mean"]
    assert np.abs(target_mean - mean).max() > 1e-3  # its own, of its own weights


def _stem_statistics(params, image):
    """Mean and variance of what the first convolution gives."""
    from ppcjax.ops.colour import IMAGENET_MEAN, IMAGENET_STD, standardize

    x = standardize(image / np.float32(255), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    kernel = params["backbone"]["stem"]["conv"]["kernel"]
    y = jax.lax.conv_general_dilated(
        x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return np.mean(y, (0, 1, 2)), np.var(y, (0, 1, 2))


def test_no_gradient_reaches_target_or_boxes(plain):
    method, params, state, _ = plain

    def loss(target, box):
        batch = _batch() | {"box": box}
        return method.loss(params, state | {"target": target}, batch, KEY, 3)[0]

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(state["target"], _batch()["box"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads))


@pytest.mark.slow
def test_first_step_takes_the_target_from_the_online_network(plain):
    """Weights that came from a file after `init` thus reach the target too."""
    _, params, state, value_and_grad = plain
    other = state | {"target": jax.tree.map(np.zeros_like, state["target"])}
    (_, (after, _)), _ = value_and_grad(params, other, _twins(), KEY, 0)
    chex.assert_trees_all_close(after["target"], terms.target_parts(params))


@pytest.mark.slow
def test_resumed_run_equals_an_unbroken_one(plain):
    method, *_ = plain
    optimizer = optim.make(
        name="lars",
        lr=0.1,
        weight_decay=1e-5,
        steps=4,
        schedule={"name": "warmup_cosine", "warmup": 1},
    )
    devices = mesh.make_mesh()
    update = step.make_step(method, optimizer, devices, KEY)

    def run(state, numbers):
        for number in numbers:
            batch = _batch()
            image = np.roll(batch["image"], number, axis=3)
            state, scalars = update(state, batch | {"image": image})
        return jax.device_get(state), scalars

    def start():
        return step.create_state(method, optimizer, KEY, _batch(), devices)

    whole, scalars = run(start(), range(4))
    half, _ = run(start(), range(2))
    resumed, again = run(jax.tree.map(np.array, half), range(2, 4))
    chex.assert_trees_all_equal(whole, resumed)
    chex.assert_trees_all_equal(scalars, again)
    for part in ("batch_stats", "target", "target_stats"):
        old, new = (state.model_state[part]["projector"] for state in (half, whole))
        moved = jax.tree.map(lambda a, b: np.any(a != b), old, new)
        assert all(jax.tree.leaves(moved["bn1"]))


@pytest.mark.parametrize(
    ("settings", "names", "parts"),
    [
        ({"pixel_weight": 0.0, "instance_weight": 1.0}, {"instance"}, "predictor"),
        ({"instance_weight": 1.0, "instance": "simclr"}, {"pixel", "instance"}, ""),
        ({"loss": "pixcontrast", "transform_layers": 2}, {"pixel"}, ""),
    ],
)
def test_other_losses_trace(settings, names, parts):
    method = methods.make(SMALL | settings, 1)
    params, state = method.init(KEY, _batch())
    _, (after, scalars) = jax.eval_shape(method.loss, params, state, _batch(), KEY, 0)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    found = {n for n in scalars if n.startswith("loss/")}
    assert found == {f"loss/{name}" for name in names}
    assert (parts in params) == bool(parts) and parts not in state["target"]
    assert "transform" not in params or settings.get("loss") != "pixcontrast"


def test_instance_losses():
    rng = np.random.default_rng(0)
    one, two = (
        x / np.linalg.norm(x, axis=-1, keepdims=True)
        for x in rng.standard_normal((2, 5, 8)).astype(np.float32)
    )
    np.testing.assert_allclose(terms.byol_loss([one, two], [two, one]), -4, rtol=1e-6)
    np.testing.assert_allclose(
        terms.byol_loss([one, two], [one, two]), -4 * np.mean((one * two).sum(-1)), 1e-5
    )
    found = terms.contrast_loss([one, two], [two, one], temperature=0.5)
    nats = []
    for n in range(5):
        for query, other, same in ((one, one, two), (two, two, one)):
            logits = [query[n] @ other[n] / 0.5] + [
                query[n] @ keys[m] / 0.5
                for keys in (other, same)
                for m in range(5)
                if m != n
            ]
            nats.append(np.log(np.sum(np.exp(logits))) - logits[0])
    np.testing.assert_allclose(found, np.mean(nats), rtol=1e-5)


def test_collapse_monitors():
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((6, 5, 5, 64)).astype(np.float32)
    keys = keys / np.linalg.norm(keys, axis=-1, keepdims=True)
    healthy = terms.collapse_monitors(keys)
    np.testing.assert_allclose(healthy["stat/channel_std"], 1 / 8, rtol=0.05)
    centres = keys.mean((1, 2))
    pairs = [a @ b for i, a in enumerate(centres) for b in centres[i + 1 :]]
    np.testing.assert_allclose(
        healthy["stat/cosine_between"], np.mean(pairs), atol=1e-6
    )
    collapsed = terms.collapse_monitors(np.broadcast_to(keys[:1, :1, :1], keys.shape))
    values = [collapsed[f"stat/{n}"] for n in ("channel_std", "cosine_between")]
    np.testing.assert_allclose(values, [0, 1], atol=1e-5)
    np.testing.assert_allclose(collapsed["stat/cosine_within"], 1, atol=1e-5)


def test_predictions_are_unit_vectors_inside_the_image(small):
    method, params, state, _ = small
    batch = {
        "image": _batch()["image"][:, 0],
        "valid": np.tile(np.int32([0, 0, 20, 32]), (4, 1)),
    }
    out = jax.jit(method.predict)(params, state, batch)
    norms = np.linalg.norm(out["embedding"], axis=-1)
    np.testing.assert_allclose(norms[:, :5], 1, rtol=1e-5)
    assert not norms[:, 5:].any() and out["feature"].shape == (4, 8, 8, 16)


def test_initial_weights():
    method = methods.make(SMALL | {"backbone": "resnet18", "backbone_settings": {}}, 1)
    params, _ = method.init(KEY, _batch())
    for layer, fan_in in (("linear1", 512), ("linear2", 16)):
        for leaf in jax.tree.leaves(params["projector"][layer]):
            bound = fan_in**-0.5
            assert 0.5 * bound < np.abs(leaf).max() <= bound
    scales = [
        not leaf["bn2"]["scale"].any()
        for name, leaf in params["backbone"].items()
        if name.startswith("layer")
    ]
    assert len(scales) == 8 and all(scales)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"pixel_weight": 0.0}, "one of pixel_weight and instance_weight"),
        ({"power": 0.5, "clamp": -1.0}, "power=0.5: a clamp below 0 needs"),
    ],
)
def test_settings_that_do_not_fit_each_other(setting, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | setting, 1)


def test_unknown_endpoint():
    with pytest.raises(
        UserError, match="endpoint: .* no output 'stage9'; it has stage3"
    ):
        methods.make(SMALL | {"endpoint": "stage9"}, 1)
