"""Every config and variant: it builds, its loss traces, its patterns match."""

import functools
import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, ppc
from ppcjax import methods
from ppcjax.methods import ppc as method_ppc
from ppcjax.train import optim

CLASSES = 6
KEY = jax.random.key(0)
NAMES = sorted(
    path.stem
    for path in Path(base.__file__).parent.glob("*.py")
    if "def get_config(variant" in path.read_text()
)
CASES = [(name, variant) for name in NAMES for variant in ppc.VARIANTS]


def _config(name, variant=""):
    return importlib.import_module(f"configs.{name}").get_config(variant)


@functools.cache
def _shapes_of(module):
    """Shapes of a network's variables; drawing them is tested elsewhere."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(module.init, KEY, image)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr(
        method_ppc,
        "initialize",
        lambda module, key, image, rules: dict(_shapes_of(module)),
    )


def _batch(config):
    rows, side = config.data.batch_size, config.data.crop
    return {
        "image": jax.ShapeDtypeStruct((rows, side, side, 3), np.uint8),
        "valid": jax.ShapeDtypeStruct((rows, 4), np.int32),
        "tags": jax.ShapeDtypeStruct((rows, CLASSES), np.float32),
    }


def test_there_are_configs():
    assert {"ppc_voc", "ppc_mobilenet", "ppc_folder", "ppc_shapes"} <= set(NAMES)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_config_builds_and_traces(name, variant):
    config = _config(name, variant)
    method = methods.make(config.method, CLASSES)
    batch = _batch(config)
    params, model_state = method.init(KEY, batch)
    loss, (after, scalars) = jax.eval_shape(
        method.loss, params, model_state, batch, KEY, jnp.int32(0)
    )
    assert loss.shape == () and loss.dtype == np.float32
    assert after == model_state
    assert "loss/total" in scalars
    assert all(s.shape == () and s.dtype == np.float32 for s in scalars.values())
    assert ("loss/intra" in scalars) == (variant not in ("cam", "seam"))
    # A pattern that matches no parameter is a UserError.
    optimizer = optim.make(steps=config.steps, **config.optim)
    jax.eval_shape(optimizer.init, params)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_has_the_contracted_shapes(name):
    config = _config(name)
    method = methods.make(config.method, CLASSES)
    batch = _batch(config)
    del batch["tags"]
    params, model_state = method.init(KEY, batch)
    out = jax.eval_shape(method.predict, params, model_state, batch)
    rows, side = config.data.batch_size, config.data.crop
    height, width = out["scores"].shape[1:3]
    assert height == width and side % height == 0
    assert out["scores"].shape == (rows, height, width, CLASSES)
    assert out["tag_logits"].shape == (rows, CLASSES)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_run_is_named_after_config_and_variant(name, variant):
    config = _config(name, variant)
    assert config.name == (f"{name}_{variant}" if variant else name)
    assert set(base.get_config()) <= set(config)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_variant_and_misspelt_field(name):
    with pytest.raises(ValueError, match="no variant 'sem'; there are cam, seam"):
        _config(name, "sem")
    with pytest.raises(AttributeError, match="lrr"):
        _config(name).lock().optim.lrr = 1.0
