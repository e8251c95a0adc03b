"""PixPro: a backbone pre-trained on photos alone, by agreement of their pixels.

Xie et al., "Propagate Yourself: Exploring Pixel-Level Consistency for Unsupervised
Visual Representation Learning", CVPR 2021. Two crops of a photo pass through an online
network and a slow copy of it; cells of the crops that show the same place are to agree.
PixContrast, plain consistency, image-level BYOL and a feature pyramid are settings of
`pixpro`.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.fields import Ordered, Range, kinds
from ppcjax.methods import common
from ppcjax.methods import pixpro_terms as terms
from ppcjax.methods.common import Jitter
from ppcjax.nn import modules
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.layers import clip_to, shrink, stride_of
from ppcjax.nn.modules import Channels, Share
from ppcjax.nn.pixpro_net import PixProNet, Projector, Transform, init_rules
from ppcjax.ops import colour
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.views import recolour
from ppcjax.types import Method, UserError

Sigma = Annotated[float, Range(above=0, most=100)]


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """A backbone, and the heads that agree.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the convolutions; statistics, propagation, similarities and losses
        are float32 always.
    endpoint: output of the backbone that the heads stand on.
    pyramid: fields of a `ppcjax.nn.fpn.FeaturePyramid`, which the pixel branch then
        stands on; it has a momentum copy. None for the endpoint, as released.
    projector: hidden and output channels of projectors and predictor.
    transform_layers: layers of the propagation's value transform.
    """

    backbone: common.BackboneName = "resnet50"
    endpoint: str = "embedding"
    pyramid: common.Fields = None
    projector: tuple[Channels, Channels] = (4096, 256)
    transform_layers: Literal[0, 1, 2] = 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """How the target network follows the online network.

    momentum: weight of the old target at step 0.
    momentum_steps: steps until it is 1; a function of `step`, so that a resumed run
        goes on where it was.
    """

    momentum: Annotated[float, Range(0, below=1)] = 0.99
    momentum_steps: Annotated[int, Range(1, kinds.MOST), "steps"] = 125_113


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Random colours of the two views, see `ppcjax.ops.views.recolour`.

    jitter: strength of brightness, contrast, saturation and hue.
    jitter_share: share of views jittered.
    greyscale_share: share of views without colour.
    blur_shares: share of first and of second views blurred.
    blur_sigma: least and largest deviation of the blur.
    solarize_shares: share of first and of second views solarized.
    """

    jitter: Jitter = (0.4, 0.4, 0.2, 0.1)
    jitter_share: Share = 0.8
    greyscale_share: Share = 0.2
    blur_shares: tuple[Share, Share] = (1.0, 0.1)
    blur_sigma: Annotated[tuple[Sigma, Sigma], Ordered(), "pixels"] = (0.1, 2.0)
    solarize_shares: tuple[Share, Share] = (0.0, 0.2)

    def recolour(self, image: chex.Array, key: chex.PRNGKey, view: int) -> jax.Array:
        """First (0) or second (1) views [B, H, W, 3] in [0, 1], in random colours."""
        return recolour(
            image,
            key,
            jitter=self.jitter,
            jitter_share=self.jitter_share,
            greyscale_share=self.greyscale_share,
            blur_share=self.blur_shares[view],
            blur_sigma=self.blur_sigma,
            solarize_share=self.solarize_shares[view],
        )


class _Setup(NamedTuple):
    """What the functions of the method know."""

    net: PixProNet
    entry: Backbone
    pixels: terms.Pixels
    instances: terms.Instances
    target: Target
    colours: Colours


def pixpro(
    num_classes: int,
    *,
    network: Network,
    pixels: terms.Pixels,
    instances: terms.Instances,
    target: Target,
    colours: Colours,
) -> Method:
    """Pixel-level consistency of two views, with a momentum network for a target.

        L = w_pix (R(q1, k2) + R(q2, k1)) + w_inst L_inst

    q is the propagated and k the plain projection, both of unit norm, R
    `ppcjax.ops.pixel_pairs.consistency`; L is in [-4, 4] without L_inst. With a pyramid
    R is the mean over its levels, each on its own grid: our own design, so that results
    with it reproduce nothing. L_inst stays on the backbone's endpoint.

    Args:
        num_classes: C of the data set; nothing depends on it.
        network: the network.
        pixels: R, and its weight w_pix.
        instances: L_inst, and its weight w_inst.
        target: how the target network follows.
        colours: random colours of the views.

    Returns:
        A Method on ViewBatch. `predict` reads "image" and "valid" of a DenseBatch and
        gives {"embedding": [B, h, w, E] of unit norm, the online network's projection,
        with a pyramid that of its finest level; "feature": [B, h, w, D] of the
        backbone's endpoint}, each on its own grid and 0 beyond the image.

    Raises:
        UserError: the backbone lacks an output that is asked for.
        ValueError: settings do not fit each other.

    Source: released training program of PixPro, as described in docs/deviations.md.
    """
    _check(network, pixels, instances)
    module, entry = network.make_backbone()
    if not entry.mean:
        raise UserError(
            "method 'pixpro' trains a backbone, so that none is frozen; name it in "
            "config.method.backbone, and leave config.frozen out"
        )
    heads = _heads(network, pixels, instances)
    need_endpoints(module, (network.endpoint,), "endpoint")
    if heads["pyramid"] is not None:
        need_endpoints(module, heads["pyramid"].endpoints, "pyramid.endpoints")
    net = PixProNet(module, network.endpoint, **heads)
    setup = _Setup(net, entry, pixels, instances, target, colours)
    return Method(
        functools.partial(_init, setup),
        functools.partial(_loss, setup),
        functools.partial(_predict, setup),
        reads="views",
        gives="features",
        keep=_keep,
    )


def _check(network, pixels, instances):
    """Raises ValueError for settings that do not fit each other."""
    if not pixels.pixel_weight and not instances.instance_weight:
        raise ValueError("one of pixel_weight and instance_weight must be above 0")
    if network.pyramid is not None and not pixels.pixel_weight:
        raise ValueError("pyramid serves the pixel branch alone, and pixel_weight is 0")
    if pixels.clamp < 0 and pixels.power != int(pixels.power):
        raise ValueError(f"power={pixels.power}: a clamp below 0 needs a whole number")


def _heads(network, pixels, instances):
    """The modules of PixProNet beside its backbone; None where one is not needed."""
    kind = jnp.dtype(network.dtype)
    head = functools.partial(Projector, *network.projector, dtype=kind)
    has_pixels, has_instances = pixels.pixel_weight > 0, instances.instance_weight > 0
    propagates = has_pixels and pixels.loss == "pixpro"
    predicts = has_instances and instances.instance == "byol"
    pyramid = network.pyramid
    if pyramid is not None:
        pyramid = modules.build(FeaturePyramid, pyramid, where="pyramid", dtype=kind)
    return {
        "pyramid": pyramid,
        "projector": head() if has_pixels else None,
        "transform": Transform(network.transform_layers, kind) if propagates else None,
        "instance_projector": head() if has_instances else None,
        "predictor": head() if predicts else None,
    }


def _init(setup, key, batch):
    start = common.initializer(setup.net, init_rules(setup.entry))
    params, state = start(key, batch)
    return params, {
        "batch_stats": state["batch_stats"],
        "target": terms.target_parts(params),
        "target_stats": terms.target_parts(state["batch_stats"]),
    }


def _loss(setup, params, model_state, batch, key, step):
    chex.assert_shape(batch["image"], (None, 2, None, None, 3))
    views = []
    for view in (0, 1):
        image = batch["image"][:, view].astype(jnp.float32) / 255.0
        view_key = jax.random.fold_in(key, view)
        image = setup.colours.recolour(image, view_key, view)
        mean, std = setup.entry.mean, setup.entry.std
        views.append(colour.standardize(image, mean=mean, std=std))
    rate = terms.cosine_momentum(
        step, start=setup.target.momentum, steps=setup.target.momentum_steps
    )
    # At step 0 the target is a copy: also of parameters that came from a file.
    online, target, model_state = terms.both_networks(
        setup.net, params, model_state, views, jnp.where(step == 0, 0.0, rate)
    )
    parts, scalars = {}, {"stat/momentum": rate}
    if setup.pixels.pixel_weight:
        levels, count = terms.pixel_loss(online, target, batch["box"], setup.pixels)
        parts["pixel"] = jnp.mean(levels)
        if setup.net.pyramid is not None:
            scalars |= {f"loss/level{i}": x for i, x in enumerate(levels, start=1)}
        scalars["stat/positives"] = jnp.mean(count)
        scalars["stat/empty"] = jnp.mean((count == 0).astype(jnp.float32))
    if setup.instances.instance_weight:
        parts["instance"] = terms.instance_loss(online, target, setup.instances)
    total, logged = common.weighted_sum(
        parts,
        {
            "pixel": setup.pixels.pixel_weight,
            "instance": setup.instances.instance_weight,
        },
    )
    scalars |= terms.collapse_monitors(_embedding(target[0]))
    return total, (model_state, scalars | logged)


def _predict(setup, params, model_state, batch):
    extent = batch["valid"][:, 2:]
    image = common.normalized(batch, setup.entry)
    variables = {"params": params, "batch_stats": model_state["batch_stats"]}
    maps = setup.net.apply(variables, image, extent, method="target")

    def inside(x):
        known = setup.net.backbone.stride
        stride = stride_of(image.shape[1:3], x.shape[1:3], known=known)
        return clip_to(x.astype(jnp.float32), shrink(extent, stride))

    return {"embedding": inside(_embedding(maps)), "feature": inside(maps.feature)}


def _keep(params: Any, model_state: Any) -> tuple[Any, Any]:
    """What `predict` reads: the online network without what only losses read."""
    statistics = terms.target_parts(model_state["batch_stats"])
    return terms.target_parts(params), {"batch_stats": statistics}


def _embedding(maps) -> jax.Array:
    """Unit vectors [B, h, w, E] of the pixel branch, or else of the instance branch.

    With a pyramid they are those of its finest level.
    """
    both = (maps.levels[0].projection, maps.instance)
    return l2_normalize(next(x for x in both if x is not None))
