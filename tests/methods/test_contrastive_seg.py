"""ContrastiveSeg's method: modes, warm-up, devices, empty crops, prediction."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import load, methods
from ppcjax.methods import contrastive_terms
from ppcjax.runs import checkpoint, export_run
from ppcjax.train import mesh
from ppcjax.types import IGNORE, TrainState, UserError

KEY = jax.random.key(0)
CLASSES = 4
SMALL = {
    "name": "contrastive_seg",
    "backbone": "small_resnet",
    "backbone_settings": {"width": 4},
    "head": "v1",
    "head_settings": {"width": 8, "rate": 1, "dropout": 0.1},
    "projection_dim": 8,
    "max_anchors": 64,
    "max_views": 4,
    "region_slots": 12,
    "pixel_slots": 20,
    "pixels_per_push": 3,
    "contrast_block": 32,
}
OFFICIAL = {"mode": "mem_official", "region_slots": 20, "label_stride": 8}
MODES = {
    "nomem": {"mode": "nomem"},
    "mem_official": OFFICIAL,
    "mem_fixed": {"mode": "mem_fixed"},
    "mem_paper": {"mode": "mem_paper", "positives": 4, "negatives": 8},
}


def _batch(size=32, images=4, seed=0):
    """Squares whose colour tells their class, void around them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (images, size, size, 3), dtype=np.uint8)
    mask = np.zeros((images, size, size), np.int32)
    for i in range(images):
        label, y, x = 1 + i % (CLASSES - 1), *rng.integers(2, size // 2, 2)
        mask[i, y - 1 : y + 13, x - 1 : x + 13] = IGNORE
        mask[i, y : y + 12, x : x + 12] = label
        image[i, y : y + 12, x : x + 12, label - 1] += 150
    return {
        "image": image,
        "valid": np.tile(np.int32([0, 0, size, size]), (images, 1)),
        "tags": np.ones((images, CLASSES), np.float32),
        "mask": mask,
    }


@pytest.fixture(scope="module")
def built():
    """Mode -> method, its first state, its jitted loss with gradients; made once."""
    made = {}

    def get(mode, **more):
        if (mode, *more) not in made:
            method = methods.make(SMALL | MODES[mode] | more, CLASSES)
            state = method.init(KEY, _batch())
            function = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
            made[(mode, *more)] = (method, *state, function)
        return made[(mode, *more)]

    return get


def _steps(function, params, carried, count, **batch):
    """The loss again and again with the same parameters: what the memory does to it."""
    for i in range(count):
        (_, (carried, scalars)), grads = function(
            params, carried, _batch(seed=i, **batch), jax.random.fold_in(KEY, i), i
        )
    return carried, scalars, grads


SOME = [
    m if m in ("nomem", "mem_fixed") else pytest.param(m, marks=pytest.mark.slow)
    for m in MODES
]


@pytest.mark.parametrize("mode", SOME)
def test_scalars_and_state(built, mode):
    _, params, carried, function = built(mode)
    assert ("memory" in carried) == (mode != "nomem")
    before = jax.tree.map(np.array, carried)
    carried, scalars, grads = _steps(function, params, carried, 3)
    chex.assert_trees_all_equal_shapes_and_dtypes(carried, before)
    chex.assert_tree_all_finite((scalars, grads))
    assert scalars["loss/contrast"] > 0
    assert np.any(grads["projection"]["conv2"]["conv"]["kernel"])
    assert 0 <= scalars["stat/hard_anchors"] <= 1
    if mode == "mem_official":
        assert scalars["stat/pixel_fill"] == 1  # with what, it does not ask
        np.testing.assert_array_equal(
            carried["memory"]["pixel"]["slots"][0],
            before["memory"]["pixel"]["slots"][0],
        )
    if mode == "mem_fixed":
        # Twelve images, all with class 0, push three of its pixels each.
        assert carried["memory"]["pixel"]["next"][0] == 36 % 20
        assert carried["memory"]["region"]["filled"][0] == 12
        norms = np.linalg.norm(carried["memory"]["pixel"]["slots"][0], axis=-1)
        np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_first_step_has_an_empty_memory(built):
    _, params, carried, function = built("mem_fixed")
    (_, (carried, scalars)), grads = function(params, carried, _batch(), KEY, 0)
    assert scalars["loss/contrast"] == 0
    chex.assert_tree_all_finite(grads)
    assert not any(np.any(g) for g in jax.tree.leaves(grads["projection"]))
    assert scalars["stat/pixel_fill"] > 0


PAPER = pytest.param("mem_paper", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "mode", [pytest.param("nomem", marks=pytest.mark.slow), "mem_fixed", PAPER]
)
def test_crops_of_no_class_and_of_one(built, mode):
    _, params, carried, function = built(mode)
    for label in (IGNORE, 2):
        batch = _batch()
        batch["mask"] = np.full_like(batch["mask"], label)
        after = carried
        for i in range(2):
            (_, (after, scalars)), grads = function(params, after, batch, KEY, i)
        assert scalars["loss/contrast"] == 0
        chex.assert_tree_all_finite((after, grads))
    if mode != "nomem":
        filled = np.asarray(after["memory"]["region"]["filled"])
        np.testing.assert_array_equal(filled, [0, 0, 8, 0])


@pytest.mark.slow
def test_warm_up_leaves_the_projection_alone(built, monkeypatch):
    method, params, carried, _ = built("mem_fixed", warmup_steps=2)
    monkeypatch.setattr(
        contrastive_terms,
        "batch_contrast",
        lambda s, embedding, *_: jnp.nan * embedding.sum(),
    )
    function = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    for i in range(2):
        (loss, (carried, _)), grads = function(params, carried, _batch(), KEY, i)
        assert np.isfinite(loss)
        assert not any(np.any(g) for g in jax.tree.leaves(grads["projection"]))
    assert np.all(carried["memory"]["region"]["filled"] > 0)
    (loss, _), _ = function(params, carried, _batch(), KEY, 2)
    assert np.isnan(loss)


@pytest.mark.slow
def test_two_devices_equal_one(built):
    """Loss, memory and gradients of each of several steps from the same state.

    Gradients by direction: where an activation of this narrow network rounds to the
    other side of 0, its own goes.
    """
    _, now, memory, function = built("mem_fixed")
    assert len(jax.devices()) == 2
    sharding = mesh.sharded(mesh.make_mesh())
    for i in range(4):
        batch = _batch(seed=i)
        one, two = (
            jax.device_get(function(now, memory, rows, jax.random.fold_in(KEY, i), i))
            for rows in (batch, jax.device_put(batch, sharding))
        )
        # Two scores of a pixel may be so near that rounding decides which is larger.
        right = [out[0][1][1].pop("stat/accuracy") for out in (one, two)]
        one_pixel = 1 / np.sum(batch["mask"] != IGNORE)
        np.testing.assert_allclose(*right, rtol=0, atol=1.01 * one_pixel)
        chex.assert_trees_all_close(one[0], two[0], rtol=1e-4, atol=1e-4)
        lengths = optax.tree.norm(one[1]) * optax.tree.norm(two[1])
        assert optax.tree.vdot(one[1], two[1]) > 0.999 * lengths
        (_, (memory, scalars)), grads = one
        now = jax.tree.map(lambda p, g: p - 0.05 * g, now, grads)
    assert scalars["loss/contrast"] > 0


def test_baseline_has_neither_projection_nor_memory():
    method = methods.make(SMALL | {"weight": 0.0}, CLASSES)
    params, carried = method.init(KEY, _batch())
    assert set(params) == {"backbone", "head"} and set(carried) == {"batch_stats"}
    loss, (after, scalars) = jax.eval_shape(
        method.loss, params, carried, _batch(), KEY, 0
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(after, carried)
    assert "loss/contrast" not in scalars


def test_prediction_needs_neither_projection_nor_memory(built):
    method, params, carried, _ = built("mem_fixed")
    less = method.keep(params, carried)
    assert set(less[0]) == {"backbone", "head"} and set(less[1]) == {"batch_stats"}
    assert "projection" not in less[1]["batch_stats"]
    predict = jax.jit(method.predict)
    out = predict(*less, _batch())["logits"]
    assert out.shape == (4, 8, 8, CLASSES)
    np.testing.assert_array_equal(out, predict(params, carried, _batch())["logits"])


def test_exported_run_predicts_the_same(built, tmp_path):
    method, params, carried, _ = built("mem_fixed")
    config = {"method": SMALL | MODES["mem_fixed"], "eval": {"scales": [1.0]}}
    classes = ("background", "red", "green", "blue")
    saver = checkpoint.Checkpoints(
        tmp_path / "run", keep=1, config=config, classes=classes
    )
    state = TrainState(np.int32(3), params, carried, {"trace": np.zeros(9)})
    saver.save(state, 3)
    saver.close()
    export_run(tmp_path / "run", tmp_path / "small")
    small = checkpoint.restore(tmp_path / "small")
    assert set(small.params) == {"backbone", "head"}
    assert set(small.model_state) == {"batch_stats"}
    image = _batch(images=1)["image"][0]
    one, two = (load(tmp_path / name).predict(image) for name in ("run", "small"))
    np.testing.assert_array_equal(one.scores, two.scores)
    with pytest.raises(UserError, match="holds a run already"):
        export_run(tmp_path / "run", tmp_path / "small")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weights": (1.0,)}, "class_weights has 1 entries"),
        ({**OFFICIAL, "pixel_slots": 5}, "as many region_slots as pixel_slots"),
        ({**OFFICIAL, "max_anchors": 999}, "max_anchors=999.*there are 160"),
    ],
)
def test_settings_that_do_not_fit_each_other(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make(SMALL | settings, CLASSES)
