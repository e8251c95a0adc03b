"""Every config and variant: it builds, its loss traces, its patterns match."""

import functools
import importlib
import re
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ppcjax.configs import (
    asgnet_shapes,
    asgnet_voc,
    base,
    contrastive_camvid,
    contrastive_cityscapes,
    contrastive_shapes,
    deeplab_voc,
    panet_shapes,
    panet_voc,
    pixpro,
    ppc,
    segment_shapes,
)
from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.data_pipelines.geometry import crop_size

from ppcjax import data_pipelines, methods
from ppcjax.evaluate.episodes.protocols import EpisodeEvaluation
from ppcjax.methods import affinity as method_affinity
from ppcjax.methods import asgnet as method_asgnet
from ppcjax.methods import contrastive_seg as method_contrastive
from ppcjax.methods import panet as method_panet
from ppcjax.methods import pixpro as method_pixpro
from ppcjax.methods import ppc as method_ppc
from ppcjax.methods import segment as method_segment
from ppcjax.train import optim

CLASSES = 6
KEY = jax.random.key(0)
NAMES = sorted(
    path.stem
    for path in Path(base.__file__).parent.glob("*.py")
    if "def get_config(" in path.read_text() and path.stem != "base"
)
PPC = [name for name in NAMES if name.startswith("ppc_")]
AFFINITY = [name for name in NAMES if name.startswith("affinity_")]
EPISODES = [name for name in NAMES if name.startswith(("asgnet_", "panet_"))]
PIXPRO = [name for name in NAMES if name.startswith("pixpro_")]
CONTRASTIVE = [name for name in NAMES if name.startswith("contrastive_")]
SEGMENT = [
    "deeplab_voc",
    *(name for name in NAMES if name.startswith("segment_")),
    *CONTRASTIVE,
]
VARIANTS = {name: tuple(ppc.VARIANTS) for name in PPC} | {
    "deeplab_voc": ("", *deeplab_voc.VARIANTS),
    # Networks and modes one at a time; the first of all variants.
    "contrastive_camvid": tuple(contrastive_camvid.VARIANTS)[:9],
    "contrastive_cityscapes": tuple(contrastive_cityscapes.VARIANTS)[:9],
    "contrastive_shapes": tuple(contrastive_shapes.VARIANTS),
    "asgnet_shapes": tuple(asgnet_shapes.VARIANTS),
    "asgnet_voc": asgnet_voc.VARIANTS,
    "eps_voc": ("", "ppc"),
    "panet_shapes": tuple(panet_shapes.VARIANTS),
    "panet_voc": panet_voc.VARIANTS,
    "segment_resnet": segment_shapes.VARIANTS,
    "segment_shapes": segment_shapes.VARIANTS,
    **{name: tuple(pixpro.VARIANTS) for name in PIXPRO},
}
# Tracing ResNet-50 four times takes a while; small configs trace the other variants.
SKIPPED = [("pixpro_imagenet", v) for v in pixpro.VARIANTS if v not in ("", "instance")]
CASES = [
    (name, variant)
    for name in NAMES
    for variant in VARIANTS.get(name, ("",))
    if (name, variant) not in SKIPPED
]


def _config(name, variant=""):
    module = importlib.import_module(f"ppcjax.configs.{name}")
    config = module.get_config(variant) if variant else module.get_config()
    if config.get("method", {}).get("backbone", "").startswith("hrnet"):
        # Whole, it takes seconds to trace, and is in the tests of networks.
        config.method.backbone_settings = dict(modules=(1, 1, 1), blocks=1)
    return config


def _classes(config):
    """As many as a config has weights for."""
    return len(config.method.get("class_weights", ())) or CLASSES


@functools.cache
def _shapes_of(module):
    """Shapes of a network's variables; drawing them is tested elsewhere."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(module.init, KEY, image)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    for method in (
        method_affinity,
        method_asgnet,
        method_contrastive,
        method_panet,
        method_pixpro,
        method_ppc,
        method_segment,
    ):
        monkeypatch.setattr(
            method,
            "initialize",
            lambda module, key, image, rules=(), **_: dict(_shapes_of(module)),
        )


def _batch(config, *, evaluation=False):
    rows, side = config.data.batch_size, config.data.crop
    sides = crop_size(side)
    if "way" in config.data:
        shape = Shape(config.data.way, config.data.shot, config.data.get("query", 1))
        return {
            name: jax.ShapeDtypeStruct((rows, *size), dtype)
            for name, (size, dtype) in layout(shape, side).items()
        }
    if "ratio" in config.data and not evaluation:
        return {
            "image": jax.ShapeDtypeStruct((rows, 2, side, side, 3), np.uint8),
            "box": jax.ShapeDtypeStruct((rows, 2, 4), np.float32),
        }
    return {
        "image": jax.ShapeDtypeStruct((rows, *sides, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((rows, 4), np.int32),
        "tags": jax.ShapeDtypeStruct((rows, _classes(config)), np.float32),
        "mask": jax.ShapeDtypeStruct((rows, *sides), np.int32),
        "saliency": jax.ShapeDtypeStruct((rows, *sides), np.uint8),
    }


def test_there_are_configs():
    assert {"ppc_voc", "ppc_mobilenet", "ppc_folder", "ppc_shapes"} <= set(NAMES)
    assert set(SEGMENT) <= set(NAMES)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_config_builds_and_traces(name, variant):
    config = _config(name, variant)
    method = methods.make(config.method, _classes(config))
    batch = _batch(config)
    params, model_state = method.init(KEY, batch)
    loss, (after, scalars) = jax.eval_shape(
        method.loss, params, model_state, batch, KEY, jnp.int32(0)
    )
    assert loss.shape == () and loss.dtype == np.float32
    chex.assert_trees_all_equal_shapes_and_dtypes(after, model_state)
    assert "loss/total" in scalars
    assert all(s.shape == () and s.dtype == np.float32 for s in scalars.values())
    if name in PPC:
        assert ("loss/intra" in scalars) == (variant not in ("cam", "seam"))
    # A pattern that matches no parameter is a UserError.
    optimizer = optim.make(steps=config.steps, **config.optim)
    jax.eval_shape(optimizer.init, params)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_has_the_contracted_shapes(name):
    config = _config(name)
    method = methods.make(config.method, _classes(config))
    batch = _batch(config, evaluation=True)
    for truth in ("tags", "mask", "saliency", "query_mask", "class_id"):
        batch.pop(truth, None)
    params, model_state = method.init(KEY, batch)
    out = jax.eval_shape(method.predict, params, model_state, batch)
    rows, side = config.data.batch_size, config.data.crop
    if name in EPISODES:
        height = out["logits"].shape[2]
        queries, ways = config.data.get("query", 1), config.data.way
        assert out["logits"].shape == (rows, queries, height, height, 1 + ways)
        return
    if name in PIXPRO:
        height, channels = out["embedding"].shape[1], config.method.projector[1]
        assert side % height == 0
        assert out["embedding"].shape == (rows, height, height, channels)
        return
    if name in AFFINITY:
        assert out["affinity"].shape == (rows, 34, side // 8, side // 8)
        return
    maps = out["logits" if name in SEGMENT else "scores"]
    height, width = maps.shape[1:3]
    sides = crop_size(side)
    assert sides[0] * width == sides[1] * height and sides[0] % height == 0
    assert maps.shape == (rows, height, width, _classes(config))
    if name in PPC:
        assert out["tag_logits"].shape == (rows, CLASSES)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_run_is_named_after_config_and_variant(name, variant):
    config = _config(name, variant)
    assert config.name == (f"{name}_{variant}" if variant else name)
    assert set(base.get_config()) <= set(config)


@pytest.mark.parametrize("name", VARIANTS)
def test_unknown_variant(name):
    known = ", ".join(v for v in VARIANTS[name] if v)
    with pytest.raises(ValueError, match=f"no variant 'sem'; there are {known}"):
        _config(name, "sem")


@pytest.mark.parametrize("name", NAMES)
def test_misspelt_field(name):
    with pytest.raises(AttributeError, match="lrr"):
        _config(name).lock().optim.lrr = 1.0


@pytest.mark.parametrize(
    ("name", "variant"), [case for case in CASES if case[0] in EPISODES]
)
def test_settings_of_episodes(name, variant):
    config = _config(name, variant)
    data_pipelines.check(config.data, "episodes")
    evaluation = EpisodeEvaluation.of(config.eval.to_dict())
    # Logits are resized to the photo in the convention they were trained in.
    assert evaluation.align_corners == config.method.get("align_corners", True)


@pytest.mark.parametrize("variant", deeplab_voc.VARIANTS)
def test_groups_of_the_released_optimizer(variant):
    """What moves, how fast and with which decay, by the size of a first update."""
    config = _config("deeplab_voc", variant)
    params, _ = methods.make(config.method, _classes(config)).init(KEY, None)
    optimizer = optim.make(steps=config.steps, **config.optim)

    def first(decay_only, path):
        name = "/".join(str(part.key) for part in path)
        rate = 20 if name == "head/classifier/conv/bias" else 10
        rate = 0 if re.search(r"bn.*/(scale|bias)$", name) else rate
        rate = 1 if name.startswith("backbone") and rate else rate
        decays = name.endswith("kernel")
        return -0.001 * rate * (5e-4 * decays if decay_only else 1 + 5e-4 * decays)

    ones = jax.tree.map(lambda leaf: jnp.ones((1,) * leaf.ndim), params)
    state = optimizer.init(ones)
    for gradient, decay_only in ((1.0, False), (0.0, True)):
        gradients = jax.tree.map(lambda x, g=gradient: g * x, ones)
        updates, _ = optimizer.update(gradients, state, ones)
        for path, update in jax.tree_util.tree_leaves_with_path(updates):
            np.testing.assert_allclose(update, first(decay_only, path), rtol=1e-5)
