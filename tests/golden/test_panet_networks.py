"""PANet's VGG-16, its training steps and its ResNet variant against the record."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import methods
from ppcjax.losses import cross_entropy
from ppcjax.methods import panet_terms
from ppcjax.methods.panet_terms import Matching
from ppcjax.nn.resnet import ResNet
from ppcjax.nn.vgg import VGG16
from ppcjax.train import optim
from ppcjax.weights.names import resnet_torch
from tests.golden.arrays import assert_close, jit, load, paths, recipe_weights

NETWORK = 1e-4


def _vgg_name(path, prefix="features"):
    layer, leaf = re.search(r"conv(\d_\d)/conv/(\w+)$", path).groups()
    group, i = map(int, layer.split("_"))
    leaf = "weight" if leaf == "kernel" else leaf
    return f"{prefix}.{2 * (group - 1)}.{2 * (i - 1)}.{leaf}"


_STEM = {"conv1": "0.0", "bn1": "0.1", "conv2": "0.3", "bn2": "0.4", "conv3": "0.6"}
_STEM |= {"bn3": "1"}


def _resnet_name(path):
    name = resnet_torch(path.removeprefix("backbone/"))
    layer, leaf = name.rsplit(".", 1)
    return f"layer0.{_STEM[layer]}.{leaf}" if layer in _STEM else name


def _norms(tree, name_of):
    return {
        name_of(path): np.linalg.norm(np.asarray(leaf, np.float64))
        for path, leaf in paths(tree).items()
    }


def _assert_norms(tree, golden, key, name_of, tolerance=NETWORK):
    norms = _norms(tree, name_of)
    names = golden.text("gradnorm_names")
    assert_close([norms[n] for n in names], golden[key], tolerance)


def test_vgg16():
    golden = load("panet_vgg")
    x = golden.map("x")
    net = VGG16()
    shapes = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 14_714_688
    params = recipe_weights(shapes, golden, _vgg_name)

    def loss(params, x):
        out = net.apply({"params": params}, x)
        y = out["embedding"]
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(y**2)))
        return jnp.sum(golden.map("gout") * y) / size, out

    (_, out), (grads, g_x) = jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(params, x)
    assert_close(out["embedding"], golden.map("out"), NETWORK)
    stage = np.asarray(out["stage3"], np.float64)
    stats = [stage.mean(), np.abs(stage).mean(), stage.std(ddof=1), np.abs(stage).max()]
    assert_close(stats, golden["stage6_stats_f64"], NETWORK)
    assert_close(g_x, golden.map("g_x"), NETWORK)
    assert_close(grads["conv1_1"]["conv"]["kernel"], golden.kernel("g_conv0"), NETWORK)
    _assert_norms(grads, golden, "gradnorm", _vgg_name)


def _images(x32, axis):
    """Stored as 32 times the input of the network."""
    return np.moveaxis(x32.astype(np.float32) / 32, axis, -1)


def _losses(net, matching, image, batch):
    """All that a training step of the originals computes, from normalised images."""
    features = net(image)
    count = batch["shot_valid"].size
    supports, queries = features[:count], features[count:]
    low = matching.logits(queries, panet_terms.prototypes(matching, supports, batch))
    logits = matching.to_image(low, batch["query_mask"].shape[-2:])
    centres, area = panet_terms.query_prototypes(matching, queries, low, batch)
    aligned = panet_terms.alignment(matching, supports, centres, area, batch)
    return logits, cross_entropy(logits, batch["query_mask"]), aligned, queries


@pytest.mark.slow
def test_two_training_steps():
    golden = load("panet_step")
    name_of = functools.partial(_vgg_name, prefix="encoder.backbone.features")
    net = VGG16()
    image = jax.ShapeDtypeStruct((1, 65, 65, 3), jnp.float32)
    shapes = jax.eval_shape(net.init, jax.random.key(0), image)["params"]
    params = recipe_weights(shapes, golden, name_of)
    optimizer = optim.make(
        lr=float(golden["lr"]),
        momentum=float(golden["momentum"]),
        weight_decay=float(golden["weight_decay"]),
        power=0.0,
        steps=2,
    )
    opt_state = optimizer.init(params)

    @jit
    def step(params, opt_state, image, batch):
        def loss(params):
            def features(image):
                return net.apply({"params": params}, image)["embedding"]

            logits, query, aligned, _ = _losses(features, Matching(), image, batch)
            return query + aligned, (logits, query, aligned)

        (_, aux), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return aux, grads, updates, optax.apply_updates(params, updates), opt_state

    for t in ("1", "2"):
        fore = golden[f"fore_mask_{t}"]
        batch = {
            "support_mask": fore.astype(np.int32),  # the background is the rest
            "shot_valid": np.ones((1, 1, 1), bool),
            "query_mask": golden[f"query_label_{t}"].astype(np.int32)[:, None],
        }
        support = _images(golden[f"supp_x32_{t}"][0, 0], 1)
        image = np.concatenate([support, _images(golden[f"qry_x32_{t}"], 1)])
        (logits, query, aligned), grads, updates, params, opt_state = step(
            params, opt_state, image, batch
        )
        assert_close(logits[0], golden.map(f"output_{t}"), NETWORK)
        assert_close(query, golden[f"query_loss_{t}"], NETWORK)
        assert_close(aligned, golden[f"align_loss_{t}"], NETWORK)
        _assert_norms(grads, golden, f"gradnorm_{t}", name_of)
        _assert_norms(updates, golden, f"deltanorm_{t}", name_of)


VARIANT = {
    "backbone": "resnet50",
    "scale": 10.0,
    "align_corners": True,
    "pooling": "grid",
    "alignment_masks": "true",
}


def _variant_net(frozen):
    return ResNet(
        50,
        stem="deep",
        stages=3,
        output_stride=8,
        last_relu=False,
        frozen_statistics=frozen,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["frozen_bn", "batch_bn"])
def test_resnet_variant(mode):
    golden = load("panet_seed_resnet")
    net = _variant_net(mode == "frozen_bn")
    supports = np.moveaxis(golden["supp_mask"], 0, 1)  # [B, K, H, W]
    batch = {
        "support_mask": supports[:, None].astype(np.int32),
        "shot_valid": np.ones((2, 1, 2), bool),
        "query_mask": golden["qry_mask"].astype(np.int32)[:, None],
    }
    image = np.moveaxis(_images(golden["supp_x32"], 2), 1, 0)  # [B, K, H, W, 3]
    image = image.reshape(-1, *image.shape[2:])
    image = np.concatenate([image, _images(golden["qry_x32"], 1)])
    shapes = jax.eval_shape(net.init, jax.random.key(0), image)
    variables = {k: recipe_weights(v, golden, _resnet_name) for k, v in shapes.items()}
    matching = Matching(10.0, True, "grid", true_masks=True)

    def loss(params):
        def passed(image):
            return net.apply(
                variables | {"params": params},
                image,
                train=True,
                mutable=["batch_stats"],
            )[0]["embedding"]

        def features(image):
            if mode == "frozen_bn":
                return passed(image)
            # There every shot and the queries pass alone, with their own statistics.
            shots = [passed(image[k:4:2]) for k in (0, 1)]
            supports = jnp.stack(shots, axis=1)  # [B, K, h, w, D]
            supports = supports.reshape(-1, *supports.shape[2:])
            return jnp.concatenate([supports, passed(image[4:])])

        logits, query, aligned, queries = _losses(features, matching, image, batch)
        return query + aligned, (logits, queries)

    (value, (logits, queries)), grads = jit(jax.value_and_grad(loss, has_aux=True))(
        variables["params"]
    )
    logits = logits[:, 0]
    assert_close(logits, golden.map(f"out_0_{mode}"), NETWORK)
    if mode == "frozen_bn":
        assert_close(logits, golden.map("out_0_eval"), NETWORK)
        assert_close(queries[..., :64], golden.map("feat_q_eval_c64"), NETWORK)
    assert_close(value, golden[f"loss_{mode}"], NETWORK)
    moving = {k: v for k, v in grads.items() if k.startswith(("layer2", "layer3"))}
    # Statistics over 162 cells amplify rounding in gradients.
    tolerance = NETWORK if mode == "frozen_bn" else 1e-3
    _assert_norms(moving, golden, f"gradnorm_{mode}", _resnet_name, tolerance)


def test_the_variant_is_settings_of_panet():
    settings = {"stem": "deep", "stages": 3, "output_stride": 8, "last_relu": False}
    settings = {"name": "panet", "backbone_settings": settings, **VARIANT}
    method = methods.make(settings, 2)
    params, _ = method.init(jax.random.key(0), None)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == 8_667_072
