"""PANet's VGG-16, its training steps and its ResNet variant against the record."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppcjax import methods
from ppcjax.losses import cross_entropy
from ppcjax.methods import panet_terms
from ppcjax.methods.episodes import flat
from ppcjax.methods.panet_terms import Matching
from ppcjax.nn.resnet import ResNet
from ppcjax.nn.vgg import VGG16
from ppcjax.train import optim
from tests.golden.arrays import (
    assert_close,
    assert_within_noise,
    jit,
    load,
    norms,
    nudged,
    official_shapes,
    published,
    recipe_weights,
    statistics,
)
from tests.weights.released_files import filled, filled_backbone

NETWORK = 1e-4


def _of_backbone(naming):
    """Names in the whole network, by paths in its backbone."""
    name_of = published("panet", naming)
    return lambda path: name_of(f"backbone/{path}")


def _norms(tree, golden, name_of):
    """Norms in the order of the file."""
    sizes = norms(tree, name_of)
    return np.array([sizes[name] for name in golden.text("gradnorm_names")])


@pytest.mark.slow
def test_vgg16():
    golden, name_of = load("panet_vgg"), published("vgg16", "panet")
    x = golden.map("x")
    net = VGG16()
    shapes = jax.eval_shape(net.init, jax.random.key(0), x)
    assert official_shapes(shapes, name_of) == golden.shapes()
    params = filled_backbone(shapes, "panet_vgg", key="net", prefix="module.")["params"]

    def loss(params, x):
        out = net.apply({"params": params}, x)
        y = out["embedding"]
        size = jax.lax.stop_gradient(jnp.sqrt(jnp.sum(y**2)))
        return jnp.sum(golden.map("gout") * y) / size, out

    (_, out), (grads, g_x) = jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(params, x)
    assert_close(out["embedding"], golden.map("out"), NETWORK)
    assert_close(statistics(out["stage3"]), golden["stage6_stats_f64"], NETWORK)
    assert_close(g_x, golden.map("g_x"), NETWORK)
    assert_close(grads["conv1_1"]["conv"]["kernel"], golden.kernel("g_conv0"), NETWORK)
    assert_close(_norms(grads, golden, name_of), golden["gradnorm"], NETWORK)


def _images(x32):
    """Stored as 32 times the input of the network, channels before rows."""
    return np.moveaxis(x32.astype(np.float32) / 32, -3, -1)


def _by_episode(x, rows):
    """Arrays [count B, ...] of the original, episodes last, as [B, count, ...]."""
    return x.reshape(-1, rows, *x.shape[1:]).swapaxes(0, 1)


def _by_query(logits):
    """Logits [B, Q, H, W, J] as the original has them, [Q B, J, H, W]."""
    return flat(jnp.moveaxis(logits, (1, 4), (0, 2)), 2)


def _losses(net, matching, image, batch):
    """All that a training step of the originals computes, from normalised images."""
    features = net(image)
    count = batch["shot_valid"].size
    supports, queries = features[:count], features[count:]
    low = matching.logits(queries, panet_terms.prototypes(matching, supports, batch))
    logits = matching.to_image(low, batch["query_mask"].shape[-2:])
    centres, area = panet_terms.query_prototypes(matching, queries, low, batch)
    aligned = panet_terms.alignment(matching, supports, centres, area, batch)
    query = cross_entropy(logits, batch["query_mask"])
    return _by_query(logits), query, aligned, queries


def _batch(support_mask, query_mask):
    """Masks of an EpisodeBatch without missing shots."""
    return {
        "support_mask": support_mask.astype(np.int32),
        "shot_valid": np.ones(support_mask.shape[:3], bool),
        "query_mask": query_mask.astype(np.int32),
    }


def _recorded_step(golden, t):
    """Images and masks of a step, the episodes' axis in front."""
    supports = np.moveaxis(_images(golden[f"supp_x32_{t}"]), 2, 0)
    rows = len(supports)
    queries = _by_episode(_images(golden[f"qry_x32_{t}"]), rows)
    image = np.concatenate([flat(supports, 3), flat(queries, 2)])
    fore = np.moveaxis(golden[f"fore_mask_{t}"], 2, 0)  # the background is the rest
    return image, _batch(fore, _by_episode(golden[f"query_label_{t}"], rows))


@pytest.mark.slow
def test_training_steps():
    golden = load("panet_step")
    numbers = golden.having(r"output_(\d+)")
    steps = [_recorded_step(golden, t) for t in numbers]
    name_of = _of_backbone("vgg16")
    net = VGG16()
    shapes = jax.eval_shape(net.init, jax.random.key(0), steps[0][0])
    assert official_shapes(shapes, name_of) == golden.shapes()
    optimizer = optim.make(
        lr=float(golden["lr"]),
        momentum=float(golden["momentum"]),
        weight_decay=float(golden["weight_decay"]),
        power=0.0,
        steps=len(steps),
    )

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

    def computed(params, steps):
        opt_state, found = optimizer.init(params), {}
        for t, (image, batch) in zip(numbers, steps, strict=True):
            aux, grads, updates, params, opt_state = step(
                params, opt_state, image, batch
            )
            for name, value in zip(
                ("output", "query_loss", "align_loss"), aux, strict=True
            ):
                found[f"{name}_{t}"] = value
            found[f"gradnorm_{t}"] = _norms(grads, golden, name_of)
            found[f"deltanorm_{t}"] = _norms(updates, golden, name_of)
        return found

    inputs = recipe_weights(shapes["params"], golden, name_of), steps
    moved = nudged(computed, *inputs)
    assert_within_noise(computed(*inputs), golden, moved, floor=NETWORK)


VARIANT = {
    "backbone": "resnet50",
    "scale": 10.0,
    "align_corners": True,
    "pooling": "grid",
    "alignment_masks": "true",
}


def _variant_net(depth, frozen):
    return ResNet(
        depth,
        stem="deep",
        stages=3,
        output_stride=8,
        last_relu=False,
        frozen_statistics=frozen,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["frozen_bn", "batch_bn"])
def test_resnet_variant(mode):
    golden, name_of = load("panet_seed_resnet"), _of_backbone("resnet")
    depth = int(golden.text("arch").removeprefix("resnet"))
    net = _variant_net(depth, mode == "frozen_bn")
    masks = np.moveaxis(golden["supp_mask"], 0, 1)[:, None]  # [B, 1, K, H, W]
    batch = _batch(masks, golden["qry_mask"][:, None])
    supports = _images(golden["supp_x32"]).swapaxes(0, 1)  # [B, K, H, W, 3]
    shots, count = supports.shape[1], batch["shot_valid"].size
    image = np.concatenate([flat(supports, 2), _images(golden["qry_x32"])])
    shapes = jax.eval_shape(net.init, jax.random.key(0), image)
    recorded = {n for n in golden.shapes() if not n.startswith("layer4")}
    assert set(official_shapes(shapes, name_of)) == recorded
    variables = filled(shapes, "panet_seed_resnet", "backbone/")
    matching = Matching(10.0, True, "grid", true_masks=True)

    @jit
    def gradients(variables, image):
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
                # Every shot and the queries pass alone, with their own statistics.
                alone = [passed(image[k:count:shots]) for k in range(shots)]
                supports = flat(jnp.stack(alone, axis=1), 2)
                return jnp.concatenate([supports, passed(image[count:])])

            logits, query, aligned, queries = _losses(features, matching, image, batch)
            return query + aligned, (logits, queries)

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    def computed(variables, image):
        (value, (logits, queries)), grads = gradients(variables, image)
        found = {f"out_0_{mode}": logits, f"loss_{mode}": value}
        found[f"gradnorm_{mode}"] = _norms(grads, golden, name_of)
        if mode == "frozen_bn":
            found |= {"out_0_eval": logits}
            found["feat_q_eval_c64"] = np.moveaxis(queries, -1, 1)[:, :64]
            found["feat_q_eval_stats_f64"] = statistics(queries)
        return found

    moved = nudged(computed, variables, image)
    assert_within_noise(computed(variables, image), golden, moved, floor=NETWORK)


def test_the_variant_is_settings_of_panet():
    settings = {"stem": "deep", "stages": 3, "output_stride": 8, "last_relu": False}
    settings = {"name": "panet", "backbone_settings": settings, **VARIANT}
    method = methods.make(settings, 2)
    params, _ = method.init(jax.random.key(0), None)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == 8_667_072
