"""HRNet-W48 with both heads, of stored and of batch statistics, as recorded."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import contrast_net
from ppcjax.weights.names import hrnet_openseg
from tests.golden.arrays import assert_close, jit, load, paths, recipe_weights

NET = contrast_net.make(19, head_settings={"dropout": 0.0}).net

LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"} | {
    "mean": "running_mean",
    "var": "running_var",
}
LAYERS = {
    "head/hidden/conv": "cls_head.0",
    "head/hidden/bn": "cls_head.1.0",
    "head/classifier": "cls_head.3",
    "projection/conv1": "proj_head.proj.0",
    "projection/bn1": "proj_head.proj.1.0",
    "projection/conv2": "proj_head.proj.2",
}


def contrast_hrnet(path):
    """Name in the released checkpoints of ContrastiveSeg's HRNet, heads included."""
    part, _, rest = path.partition("/")
    if part == "backbone":
        return f"backbone.{hrnet_openseg(rest)}"
    *layer, leaf = path.split("/")
    name = "/".join(layer)
    name = name if name in LAYERS else name.removesuffix("/conv")
    return f"{LAYERS[name]}.{LEAVES[leaf]}"


pytestmark = pytest.mark.slow


def _wave(function, x):
    """The recorded loss weighs maps in NCHW order."""
    x = jnp.moveaxis(x, -1, 1)
    return function(np.arange(x.size, dtype=np.float32)).reshape(x.shape), x


@pytest.fixture(scope="module", params=["eval", "train"])
def recorded(request):
    """Mode, golden file, tolerance and what came out."""
    mode, golden = request.param, load("cseg_hrnet48")
    x = golden.map("x")
    shapes = jax.eval_shape(NET.init, jax.random.key(0), x)
    variables = {
        kind: recipe_weights(tree, golden, contrast_hrnet)
        for kind, tree in shapes.items()
    }

    def loss(params, x):
        out, branches = NET.apply(
            variables | {"params": params},
            x,
            train=mode == "train",
            mutable=["batch_stats"],
            method=_with_branches,
        )[0]
        weights, seg = _wave(np.sin, out["logits"])
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(seg**2)))
        weights_embed, embed = _wave(np.cos, out["embedding"])
        total = jnp.sum(weights * seg) / size + jnp.sum(weights_embed * embed)
        return total, (out, branches)

    found = jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(
        variables["params"], x
    )
    return mode, golden, 20 * golden[f"rel64_{mode}_f64"].max(), shapes, found


def _with_branches(net, x, **mode):
    """What the network gives, and what its backbone gives on the way."""
    seen = {}

    def keep(next_function, arguments, keywords, context):
        out = next_function(*arguments, **keywords)
        if context.module is net.backbone and context.method_name == "__call__":
            seen.update(out)
        return out

    with nn.intercept_methods(keep):
        out = net(x, **mode)
    return out, {k: v for k, v in seen.items() if k.startswith("branch")}


def test_parameters_have_the_names_and_shapes_of_the_original(recorded):
    _, golden, _, shapes, _ = recorded
    ours = {}
    for tree in shapes.values():
        for path, leaf in paths(tree).items():
            order = (3, 2, 0, 1) if leaf.ndim == 4 else (0,)
            ours[contrast_hrnet(path)] = [leaf.shape[i] for i in order]
    assert ours == dict(golden.text("spec"))


def test_outputs(recorded):
    mode, golden, tolerance, _, ((_, (out, branches)), _) = recorded
    assert_close(out["logits"], golden.map(f"seg_{mode}"), tolerance)
    embedding = out["embedding"][..., :24]
    assert_close(embedding, golden.map(f"embed_{mode}_c24"), tolerance)
    for i in range(4):
        found = np.asarray(branches[f"branch{i}"], np.float64)
        assert_close(found[..., :8], golden.map(f"branch{i}_{mode}_c8"), tolerance)
        stats = [found.mean(), np.abs(found).mean(), found.std(ddof=1), found.max()]
        assert_close(stats, golden[f"branch{i}_{mode}_stats_f64"], tolerance)


def test_loss_and_gradients(recorded):
    mode, golden, _, _, ((loss, _), (grads, g_x)) = recorded
    np.testing.assert_allclose(loss, golden[f"loss_{mode}"], rtol=1e-4)
    g_x, expected = np.asarray(g_x), golden.map(f"g_x_{mode}")
    cosine = np.vdot(g_x, expected) / np.linalg.norm(g_x) / np.linalg.norm(expected)
    norms = {
        contrast_hrnet(path): np.linalg.norm(np.asarray(leaf, np.float64))
        for path, leaf in paths(grads).items()
    }
    names = golden.text("gradnorm_names")
    norms = np.array([norms[n] for n in names])
    # Rounding moves pre-activations across zero: single entries of the image's gradient
    # differ by 3 % of the largest, its direction and all norms do not.
    assert cosine > (0.9999 if mode == "eval" else 0.9995)
    assert_close(norms, golden[f"gradnorm_{mode}"], 1e-3 if mode == "eval" else 1e-2)
