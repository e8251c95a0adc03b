"""Every config and variant: it builds, its loss traces, its patterns match.

What a config trains on and is judged by is asked of its method, so that neither a new
config nor a new method needs a line here.
"""

import functools
import importlib
import re
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax import fields, methods
from ppcjax.configs import base, deeplab_voc
from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.data_pipelines.geometry import crop_size
from ppcjax.evaluate import EVALUATIONS, fitting
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.methods import common
from ppcjax.nn.frozen import in_channels
from ppcjax.train import length, optim, settings
from tests.frozen import networks as frozen_networks

CLASSES = 6
KEY = jax.random.key(0)
# A batch for configs that train nothing, and so have none.
TO_PREDICT = {"batch_size": 2, "crop": 112}
NAMES = sorted(
    path.stem
    for path in Path(base.__file__).parent.glob("*.py")
    if "def get_config(" in path.read_text() and path.stem != "base"
)


@functools.cache
def _variants(name):
    """What a config says it knows when it is asked for what it does not know."""
    module = importlib.import_module(f"ppcjax.configs.{name}")
    try:
        module.get_config("sem")
    except ValueError as error:
        assert "no variant 'sem'; there are " in str(error)
        return tuple(str(error).partition("; there are ")[2].split(", "))
    except TypeError:  # it takes none
        return ()


def _is_joined(variant, known):
    """Whether it is two other variants at once, such as a network and a mode."""
    return any(
        variant == f"{first}_{second}" for first in known for second in known if second
    )


def _cases():
    """Configs and variants; variants of large or of several configs are marked slow."""
    sizes = {name: _config(name).data.crop for name in NAMES}
    sizes = {name: np.max(crop) for name, crop in sizes.items()}
    for name in NAMES:
        yield pytest.param(name, "", id=name)
        known = _variants(name)
        for variant in known:
            if _is_joined(variant, known):
                continue
            alike = [other for other in NAMES if _variants(other) == known]
            smallest = min(alike, key=sizes.get)
            quick = name == smallest and sizes[name] <= 128  # pixels
            marks = () if quick else (pytest.mark.slow,)
            yield pytest.param(name, variant, marks=marks, id=f"{name}-{variant}")


def _config(name, variant=""):
    module = importlib.import_module(f"ppcjax.configs.{name}")
    config = module.get_config(variant) if variant else module.get_config()
    if not settings.trains(config.method):
        config.data.update(TO_PREDICT)
    if config.get("method", {}).get("backbone", "").startswith("hrnet"):
        # Whole, it takes seconds to trace, and is in the tests of networks.
        config.method.backbone_settings = dict(modules=(1, 1, 1), blocks=1)
    config.steps = config.steps or length.LEAST_STEPS  # where they follow the photos
    return config


CASES = list(_cases())


def _classes(config):
    """As many as a config has weights for."""
    return len(config.method.get("class_weights", ())) or CLASSES


def _method(config):
    """The method, on a frozen network of the same features where it has one."""
    found = kept.settings_of(config.to_dict())
    if found is None:
        return methods.make(config.method, _classes(config))
    shallow = {**(found.backbone_settings or {}), "depth": 2}
    network = frozen_networks.network(
        **{"backbone": found.backbone, "backbone_settings": shallow},
        **{"debias": 0, "beside": found.beside},
    )
    settings = kept.fitted(config.method.to_dict(), found)
    return attached(methods.make(settings, _classes(config)), network)


@functools.cache
def _shapes_of(module):
    """Shapes of a network's variables; drawing them is tested elsewhere."""
    image = jax.ShapeDtypeStruct((1, 64, 64, in_channels(module)), jnp.float32)
    return jax.eval_shape(module.init, KEY, image)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr(
        common, "initialize", lambda module, *_, **__: dict(_shapes_of(module))
    )


def _dense(config):
    rows, sides = config.data.batch_size, crop_size(config.data.crop)
    return {
        "image": jax.ShapeDtypeStruct((rows, *sides, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((rows, 4), np.int32),
        "tags": jax.ShapeDtypeStruct((rows, _classes(config)), np.float32),
        "mask": jax.ShapeDtypeStruct((rows, *sides), np.int32),
        "saliency": jax.ShapeDtypeStruct((rows, *sides), np.uint8),
    }


def _episodes(config):
    shape = Shape(config.data.way, config.data.shot, config.data.get("query", 1))
    return {
        name: jax.ShapeDtypeStruct((config.data.batch_size, *size), dtype)
        for name, (size, dtype) in layout(shape, config.data.crop).items()
    }


def _views(config):
    rows, side = config.data.batch_size, config.data.crop
    return {
        "image": jax.ShapeDtypeStruct((rows, 2, side, side, 3), np.uint8),
        "box": jax.ShapeDtypeStruct((rows, 2, 4), np.float32),
    }


BATCHES = {"dense": _dense, "episodes": _episodes, "views": _views}


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_config_builds_and_traces(name, variant):
    config = _config(name, variant)
    method = _method(config)
    batch = BATCHES[method.reads](config)
    params, model_state = method.init(KEY, batch)
    if method.loss is None:
        assert jax.eval_shape(method.predict, params, model_state, batch)
        return
    loss, (after, scalars) = jax.eval_shape(
        method.loss, params, model_state, batch, KEY, jnp.int32(0)
    )
    assert loss.shape == () and loss.dtype == np.float32
    chex.assert_trees_all_equal_shapes_and_dtypes(after, model_state)
    assert all(s.shape == () and s.dtype == np.float32 for s in scalars.values())
    # A pattern that matches no parameter is a UserError.
    optimizer = optim.make(steps=config.steps, **config.optim)
    jax.eval_shape(optimizer.init, params)


# What predictions of each kind look like: letters that are the config's, and a grid.
def _shapes_of_maps(config, out, grid):
    rows, classes = config.data.batch_size, _classes(config)
    return {"scores": (rows, *grid, classes), "tag_logits": (rows, classes)}


def _shapes_of_logits(config, out, grid):
    shapes = {"logits": (config.data.batch_size, *grid, _classes(config))}
    return shapes | ({"extent": (config.data.batch_size, 2)} if "extent" in out else {})


def _shapes_of_affinity(config, out, grid):
    return {"affinity": (config.data.batch_size, out["affinity"].shape[1], *grid)}


def _shapes_of_episodes(config, out, grid):
    queries, ways = config.data.get("query", 1), config.data.way
    return {"logits": (config.data.batch_size, queries, *grid, 1 + ways)}


def _shapes_of_features(config, out, grid):
    rows = config.data.batch_size
    return {name: (rows, *x.shape[1:3], x.shape[3]) for name, x in out.items()}


# Shapes, and the axis where the rows of the grid are.
GIVES = {
    "maps": (_shapes_of_maps, "scores", 1),
    "logits": (_shapes_of_logits, "logits", 1),
    "affinity": (_shapes_of_affinity, "affinity", 2),
    "episodes": (_shapes_of_episodes, "logits", 2),
    "features": (_shapes_of_features, "", 1),
}


@pytest.mark.parametrize("name", NAMES)
def test_prediction_has_the_contracted_shapes(name):
    config = _config(name)
    method = _method(config)
    batch = (_episodes if method.gives == "episodes" else _dense)(config)
    for truth in ("tags", "mask", "saliency", "query_mask", "class_id"):
        batch.pop(truth, None)
    params, model_state = method.init(KEY, batch)
    out = jax.eval_shape(method.predict, params, model_state, batch)
    shapes, main, axis = GIVES[method.gives]
    grid = out[main or next(iter(out))].shape[axis : axis + 2]
    assert {key: x.shape for key, x in out.items()} == shapes(config, out, grid)
    # Cells are squares of pixels, on each side as many.
    sides = crop_size(config.data.crop)
    assert abs(sides[0] / grid[0] - sides[1] / grid[1]) < 1
    kept = method.keep(params, model_state)
    again = jax.eval_shape(method.predict, *kept, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(again, out)


@pytest.mark.parametrize(("variant", "terms"), [("cam", 0), ("seam", 0), ("", 1)])
def test_variants_of_ppc_leave_terms_out(variant, terms):
    config = _config("ppc_shapes", variant)
    method, batch = _method(config), _dense(config)
    start = method.init(KEY, batch)
    _, (_, scalars) = jax.eval_shape(method.loss, *start, batch, KEY, jnp.int32(0))
    assert ("loss/intra" in scalars) == bool(terms)


@pytest.mark.parametrize("name", NAMES)
def test_run_is_named_after_config_and_variant(name):
    for variant in ("", *_variants(name)):
        config = _config(name, variant)
        assert config.name == (f"{name}_{variant}" if variant else name)
        assert set(base.get_config()) <= set(config)


@pytest.mark.parametrize("name", NAMES)
def test_misspelt_field(name):
    with pytest.raises(AttributeError, match="lrr"):
        _config(name).lock().method.lrr = 1.0


@pytest.mark.parametrize("name", NAMES)
def test_settings_pass_the_checks_of_a_launch(name):
    for variant in ("", *_variants(name)):
        config = _config(name, variant)
        method = _method(config)
        config.data.batch_size *= jax.device_count()  # published ones fit one device
        if method.loss is not None:
            settings.check(config, method.reads)
        values = config.get("eval", {})
        evaluation = EVALUATIONS[fitting(method)[0]]
        found = fields.build(
            evaluation.settings, values, where="config.eval", what="it"
        )
        if method.gives == "episodes":
            # Logits are resized to the photo in the convention they were trained in.
            aligned = config.method.get("align_corners", True)
            assert found.prediction.align_corners == aligned


@pytest.mark.parametrize("variant", deeplab_voc.VARIANTS)
def test_groups_of_the_released_optimizer(variant):
    """What moves, how fast and with which decay, by the size of a first update."""
    config = _config("deeplab_voc", variant)
    params, _ = _method(config).init(KEY, None)
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
