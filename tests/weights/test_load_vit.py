"""A vision transformer beside a backbone, from a file with timm's names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from ppcjax.nn.resnet import ResNet
from ppcjax.nn.vit import VisionTransformer
from ppcjax.types import UserError
from ppcjax.weights import load_into, names
from tests.golden.arrays import paths

IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
# Names and shapes in the published file, of every kind of parameter.
OFFICIAL = {
    "cls_token": (1, 1, 768),
    "pos_embed": (1, 197, 768),
    "patch_embed.proj.weight": (768, 3, 16, 16),
    "patch_embed.proj.bias": (768,),
    "blocks.11.norm1.weight": (768,),
    "blocks.11.attn.qkv.weight": (2304, 768),
    "blocks.11.attn.qkv.bias": (2304,),
    "blocks.11.attn.proj.weight": (768, 768),
    "blocks.11.norm2.bias": (768,),
    "blocks.11.mlp.fc1.weight": (3072, 768),
    "blocks.11.mlp.fc2.weight": (768, 3072),
    "norm.weight": (768,),
    "norm.bias": (768,),
}


def _torch_shape(shape):
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), range(len(shape)))
    return tuple(shape[i] for i in order)


def _published(module, name_of):
    shapes = jax.eval_shape(module.init, jax.random.key(0), IMAGE)
    rng = np.random.default_rng(0)
    arrays = {
        name_of(path): rng.standard_normal(_torch_shape(leaf.shape), dtype=np.float32)
        for tree in shapes.values()
        for path, leaf in paths(tree).items()
    }
    return shapes, arrays


def test_names_are_the_published_ones():
    shapes = jax.eval_shape(VisionTransformer().init, jax.random.key(0), IMAGE)
    ours = {
        names.vit_timm(path): _torch_shape(leaf.shape)
        for path, leaf in paths(shapes["params"]).items()
    }
    assert len(ours) == 2 + 2 + 12 * 12 + 2
    assert OFFICIAL.items() <= ours.items()


def test_two_files_fill_backbone_and_transformer(tmp_path):
    vit = VisionTransformer(patch=8, width=8, depth=2, heads=2, grid=(4, 4))
    of_vit, vit_arrays = _published(vit, names.vit_timm)
    resnet = ResNet(18, stages=1, stage_links=True)
    of_resnet, resnet_arrays = _published(
        resnet, lambda p: "none" if p.startswith("link") else names.resnet_torch(p)
    )
    save_file(vit_arrays, tmp_path / "vit.safetensors")
    save_file(resnet_arrays, tmp_path / "resnet.safetensors")
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), of_resnet)
    params = {"backbone": zeros["params"], "vit": of_vit["params"], "head": {}}
    stats = {"batch_stats": {"backbone": zeros["batch_stats"]}}
    both = f"{tmp_path / 'resnet.safetensors'},{tmp_path / 'vit.safetensors'}"
    found, model_state = load_into(params, stats, both)
    np.testing.assert_array_equal(
        found["vit"]["block1"]["attn"]["qkv"]["kernel"],
        vit_arrays["blocks.1.attn.qkv.weight"].T,
    )
    np.testing.assert_array_equal(
        found["backbone"]["conv1"]["conv"]["kernel"],
        resnet_arrays["conv1.weight"].transpose(2, 3, 1, 0),
    )
    assert not np.any(found["backbone"]["link0"]["kernel"])
    assert np.any(model_state["batch_stats"]["backbone"]["bn1"]["mean"])
    with pytest.raises(UserError, match="holds a vision transformer"):
        load_into({"backbone": {}}, {}, tmp_path / "vit.safetensors")
