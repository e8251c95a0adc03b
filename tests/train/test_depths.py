"""Every parameter of a vision transformer has its place."""

import jax
import jax.numpy as jnp

from ppcjax.nn import backbones
from ppcjax.train.depths import factors
from ppcjax.weights.matching import leaves_of

LAST = ("backbone/norm/", "head/")  # what comes after all blocks


def _names(name, settings, part="backbone"):
    module, _ = backbones.make(name, settings)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)
    return list(leaves_of({part: shapes["params"]}))


def test_a_whole_network():
    own = _names("vit_s14", {"depth": 12, "registers": 4})
    found = factors([*own, "head/kernel"], 0.5)
    assert {n for n in own if n not in found} == {n for n in own if n.startswith(LAST)}
    assert found["backbone/block11/fc1/kernel"] == 0.5
    assert found["backbone/block0/attn/qkv/bias"] == 0.5**12
    for name in ("pos_embed", "cls_token", "register_tokens", "patch_embed/kernel"):
        assert found[f"backbone/{name}"] == 0.5**13, name


def test_two_networks_side_by_side():
    """One beside a backbone is none of its blocks."""
    large = _names("vit_s16", {"depth": 2})
    small = _names("vit_s16", {"depth": 1}, part="vit")
    found = factors(large + small, 0.5)
    assert found["backbone/block0/fc1/kernel"] == 0.25
    assert found["vit/block0/fc1/kernel"] == 0.5
    assert found["vit/pos_embed"] == 0.25


def test_blocks_of_other_networks():
    assert factors(_names("mobilenet_v2", {}), 0.5) == {}
    assert factors([], 0.5) == {}
