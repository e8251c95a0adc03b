"""PixPro: a backbone pre-trained on photos alone, by agreement of their pixels.

Xie et al., "Propagate Yourself: Exploring Pixel-Level Consistency for Unsupervised
Visual Representation Learning", CVPR 2021. Two crops of a photo pass through an online
network and a slow copy of it; cells of the crops that show the same place are to agree.
PixContrast, plain consistency, image-level BYOL and a feature pyramid are settings of
`pixpro`.
"""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from ppcjax.methods import pixpro_terms as terms
from ppcjax.nn import backbones
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import clip_to, shrink, stride_of
from ppcjax.nn.pixpro_net import PixProNet, Projector, Transform, init_rules
from ppcjax.ops import colour
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.views import recolour
from ppcjax.types import Method, UserError


def pixpro(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    backbone_settings: dict[str, Any] | None = None,
    endpoint: str = "embedding",
    pyramid: dict[str, Any] | None = None,
    projector: tuple[int, int] = (4096, 256),
    loss: str = "pixpro",
    pixel_weight: float = 1.0,
    threshold: float = 0.7,
    power: float = 2.0,
    clamp: float = 0.0,
    transform_layers: int = 1,
    temperature: float = 0.3,
    instance_weight: float = 0.0,
    instance: str = "byol",
    instance_temperature: float = 0.2,
    momentum: float = 0.99,
    momentum_steps: int = 125_113,
    dtype: str = "float32",
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1),
    jitter_share: float = 0.8,
    greyscale_share: float = 0.2,
    blur_shares: tuple[float, float] = (1.0, 0.1),
    blur_sigma: tuple[float, float] = (0.1, 2.0),
    solarize_shares: tuple[float, float] = (0.0, 0.2),
    block: int = 1024,
) -> Method:
    """Pixel-level consistency of two views, with a momentum network for a target.

        L = w_pix (R(q1, k2) + R(q2, k1)) + w_inst L_inst

    q is the propagated and k the plain projection, both of unit norm, R
    `ppcjax.ops.pixel_pairs.consistency`; L is in [-4, 4] without L_inst. With a pyramid
    R is the mean over its levels, each on its own grid: our own design, so that results
    with it reproduce nothing. L_inst stays on the backbone's endpoint.

    Args:
        num_classes: of the data set; nothing depends on it.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        endpoint: which of its outputs the heads stand on.
        pyramid: fields of a `ppcjax.nn.fpn.FeaturePyramid`, which the pixel branch then
            stands on; it has a momentum copy. None: on the endpoint, as released.
        projector: hidden and output channels of projectors and predictor.
        loss: "pixpro", "consistency" (without propagation: q is the projection), or
            "pixcontrast" (cells without a pair are negatives; mean of both directions).
        pixel_weight: w_pix; 0 leaves this branch out.
        threshold: largest distance of a pair, exclusive, in diagonals of a cell.
        power: exponent of the propagation.
        clamp: least similarity in the propagation.
        transform_layers: 0, 1 or 2 layers of the propagation's value transform.
        temperature: of "pixcontrast".
        instance_weight: w_inst; 0 leaves this branch out.
        instance: L_inst, "byol" (as released) or "simclr" (as the paper says).
        instance_temperature: of "simclr".
        momentum: weight of the old target at step 0.
        momentum_steps: steps until it is 1; a function of `step`, so that a resumed run
            goes on where it was.
        dtype: "float32" or "bfloat16", of the convolutions; statistics, propagation,
            similarities and losses are float32 always.
        jitter: strength of brightness, contrast, saturation and hue.
        jitter_share: share of views jittered; this and the following as in
            `ppcjax.ops.views.recolour`.
        greyscale_share: share of views without colour.
        blur_shares: share of first and of second views blurred.
        blur_sigma: least and largest deviation of the blur, pixels.
        solarize_shares: share of first and of second views solarized.
        block: cells compared with all others at once.

    Returns:
        A Method on ViewBatch. `predict` reads "image" and "valid" of a DenseBatch and
        gives {"embedding": [B, h, w, E] of unit norm, the online network's projection,
        with a pyramid that of its finest level; "feature": [B, h, w, D] of the
        backbone's endpoint}, each on its own grid and 0 beyond the image.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PixPro, as described in docs/deviations.md.
    """
    del num_classes
    _check(locals())
    module, entry = backbones.make(
        backbone, dtype=jnp.dtype(dtype), **(backbone_settings or {})
    )
    head = functools.partial(Projector, *projector, dtype=jnp.dtype(dtype))
    propagates = bool(pixel_weight) and loss == "pixpro"
    heads = {
        "pyramid": (
            None
            if pyramid is None
            else FeaturePyramid(dtype=jnp.dtype(dtype), **pyramid)
        ),
        "projector": head() if pixel_weight else None,
        "transform": (
            Transform(transform_layers, jnp.dtype(dtype)) if propagates else None
        ),
        "instance_projector": head() if instance_weight else None,
        "predictor": head() if instance_weight and instance == "byol" else None,
    }
    net = PixProNet(module, endpoint, **heads)
    pixel_loss = functools.partial(
        terms.pixel_loss,
        loss=loss,
        threshold=threshold,
        power=power,
        clamp=clamp,
        temperature=temperature,
        block=block,
    )

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        outputs, _ = jax.eval_shape(module.init_with_output, key, image)
        if endpoint not in outputs:
            raise UserError(
                f"method.endpoint={endpoint!r}: {backbone} has {', '.join(outputs)}"
            )
        rules = init_rules(backbone, outputs[endpoint].shape[-1], heads)
        variables = initialize(net, key, image, rules=rules)
        params, stats = variables["params"], variables["batch_stats"]
        return params, {
            "batch_stats": stats,
            "target": terms.target_parts(params),
            "target_stats": terms.target_parts(stats),
        }

    def prepare(image, key, view):
        """The network's input of uint8 views [B, H, W, 3]."""
        image = recolour(
            image.astype(jnp.float32) / 255.0,
            key,
            jitter=jitter,
            jitter_share=jitter_share,
            greyscale_share=greyscale_share,
            blur_share=blur_shares[view],
            blur_sigma=blur_sigma,
            solarize_share=solarize_shares[view],
        )
        return colour.standardize(image, mean=entry.mean, std=entry.std)

    def instance_term(online, target):
        keys = [terms.pooled(maps.instance) for maps in target]
        if instance == "byol":
            queries = [terms.pooled(maps.prediction) for maps in online]
            return terms.byol_loss(queries, keys)
        queries = [terms.pooled(maps.instance) for maps in online]
        return terms.contrast_loss(queries, keys, temperature=instance_temperature)

    def total_loss(params, model_state, batch, key, step):
        chex.assert_shape(batch["image"], (None, 2, None, None, 3))
        views = [
            prepare(batch["image"][:, view], jax.random.fold_in(key, view), view)
            for view in (0, 1)
        ]
        rate = terms.cosine_momentum(step, start=momentum, steps=momentum_steps)
        # At step 0 the target is a copy: also of parameters that came from a file.
        online, target, model_state = terms.both_networks(
            net, params, model_state, views, jnp.where(step == 0, 0.0, rate)
        )
        scalars, total = {"stat/momentum": rate}, jnp.float32(0.0)
        if pixel_weight:
            levels, count = pixel_loss(online, target, batch["box"])
            scalars["loss/pixel"] = jnp.mean(levels)
            if pyramid is not None:
                scalars |= {f"loss/level{i}": x for i, x in enumerate(levels, start=1)}
            total = total + pixel_weight * scalars["loss/pixel"]
            scalars["stat/positives"] = jnp.mean(count)
            scalars["stat/empty"] = jnp.mean((count == 0).astype(jnp.float32))
        if instance_weight:
            scalars["loss/instance"] = instance_term(online, target)
            total = total + instance_weight * scalars["loss/instance"]
        scalars |= terms.collapse_monitors(_embedding(target[0]))
        return total, (model_state, scalars | {"loss/total": total})

    def predict(params, model_state, batch):
        extent = batch["valid"][:, 2:]
        image = batch["image"].astype(jnp.float32) / 255.0
        image = colour.normalize(image, batch["valid"], mean=entry.mean, std=entry.std)
        maps = net.apply(
            {"params": params, "batch_stats": model_state["batch_stats"]},
            image,
            extent,
            method="target",
        )

        def inside(x):
            stride = stride_of(image.shape[1:3], x.shape[1:3])
            return clip_to(x.astype(jnp.float32), shrink(extent, stride))

        return {"embedding": inside(_embedding(maps)), "feature": inside(maps.feature)}

    return Method(init, total_loss, predict, reads="views", gives="features")


def _embedding(maps) -> jax.Array:
    """Unit vectors [B, h, w, E] of the pixel branch, or else of the instance branch.

    With a pyramid they are those of its finest level.
    """
    both = (maps.levels[0].projection, maps.instance)
    return l2_normalize(next(x for x in both if x is not None))


def _check(settings: dict[str, Any]) -> None:
    """Raises ValueError for a setting of `pixpro` outside its range."""

    def need(name, holds, wanted):
        if not holds:
            raise ValueError(f"{name}={settings[name]!r}: {wanted}")

    for name, choices in (
        ("loss", ("pixpro", "consistency", "pixcontrast")),
        ("instance", ("byol", "simclr")),
        ("transform_layers", (0, 1, 2)),
    ):
        known = ", ".join(map(repr, choices))
        need(name, settings[name] in choices, f"choose one of {known}")
    for name in ("threshold", "power", "temperature", "instance_temperature"):
        need(name, settings[name] > 0, "give a number above 0")
    for name in ("pixel_weight", "instance_weight"):
        need(name, settings[name] >= 0, "give a number of at least 0")
    need(
        "instance_weight",
        settings["pixel_weight"] or settings["instance_weight"],
        "one of pixel_weight and instance_weight must be above 0",
    )
    need(
        "pyramid",
        settings["pyramid"] is None or settings["pixel_weight"],
        "it serves the pixel branch alone, and pixel_weight is 0",
    )
    need(
        "power",
        settings["clamp"] >= 0 or settings["power"] == int(settings["power"]),
        "a clamp below 0 needs a whole number",
    )
    need("momentum", 0 <= settings["momentum"] <= 1, "give a number from 0 to 1")
    for name in ("momentum_steps", "block"):
        need(name, settings[name] >= 1, "give a whole number of at least 1")
    for name, length in (
        ("projector", 2),
        ("jitter", 4),
        ("blur_shares", 2),
        ("blur_sigma", 2),
        ("solarize_shares", 2),
    ):
        need(name, len(settings[name]) == length, f"give {length} numbers")
    need("blur_sigma", settings["blur_sigma"][0] > 0, "deviations are above 0")
