"""The segmenter of ContrastiveSeg: a backbone, a head, and a projection beside it.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn import backbones, modules
from ppcjax.nn.heads import HEADS, AuxiliaryHead
from ppcjax.nn.init import torch_uniform
from ppcjax.nn.layers import clip_to, features_extent
from ppcjax.nn.projection import ProjectionHead
from ppcjax.types import UserError


class ContrastNet(nn.Module):
    """Scores every cell, and in training embeds it, too.

    backbone: a module of `ppcjax.nn.backbones`.
    head: a head of `ppcjax.nn.heads`.
    projection: makes embeddings of "embedding", which the head reads too.
    auxiliary: classifies an endpoint on the way; None: there is none.
    auxiliary_endpoint: name of that endpoint.
    bgr: whether the channels are turned round first.
    reads_auxiliary: whether the head reads the auxiliary scores, see `OCRHead`.
    """

    backbone: nn.Module
    head: nn.Module
    projection: nn.Module
    auxiliary: nn.Module | None = None
    auxiliary_endpoint: str = "embedding"
    bgr: bool = False
    reads_auxiliary: bool = False

    def __call__(
        self, image: Any, extent: Any = None, *, train: bool = False, embed: bool = True
    ) -> dict[str, Any]:
        """Scores and embeddings of normalised images.

        Args:
            image: [B, H, W, 3], normalised as the backbone wants it.
            extent: [B, 2] true rows and columns of images in the top left corner of
                padded canvases; None: the images fill them.
            train: whether drop-out and batch statistics are on.
            embed: whether embeddings are computed; prediction needs none.

        Returns:
            "logits" [B, h, w, C] float32; "aux" [B, h, w, C] float32 where there is an
            auxiliary head; "embedding" [B, h, w, D] float32 of unit length if asked
            for; "extent" [B, 2] true rows and columns of the grid where those of the
            images are given. Maps are zero beyond it.
        """
        features = self.backbone(
            image[..., ::-1] if self.bgr else image, extent, train=train
        )
        extent, x = features_extent(self.backbone, extent), features["embedding"]
        out = {} if extent is None else {"extent": extent}
        if self.auxiliary is not None:
            x_aux = features[self.auxiliary_endpoint]
            out["aux"] = clip_to(self.auxiliary(x_aux, extent, train=train), extent)
        regions = (out["aux"],) if self.reads_auxiliary else ()
        logits = self.head(x, *regions, extent, train=train)
        out["logits"] = clip_to(logits, extent)
        if embed:
            out["embedding"] = self.projection(x, extent, train=train)
        return out


class Recipe(NamedTuple):
    """A network and what belongs to it.

    net: the module; `net.init` with embed=True (the default) makes all parameters.
    mean: mean of RGB in [0, 1], for `ppcjax.ops.colour.normalize`.
    std: deviation of RGB in [0, 1].
    init_rules: rules of `ppcjax.nn.init.initialize`.
    """

    net: ContrastNet
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    init_rules: tuple[tuple[str, Any], ...]


def make(
    num_classes: int,
    *,
    backbone: str = "hrnet_w48",
    backbone_settings: Mapping[str, Any] | None = None,
    pixel_mean: backbones.Colour | None = None,
    pixel_std: backbones.Colour | None = None,
    head: str = "hrnet",
    head_settings: Mapping[str, Any] | None = None,
    auxiliary: Mapping[str, Any] | None = None,
    projection: str = "convmlp",
    projection_dim: int = 256,
    channels: str = "rgb",
    dtype: Any = jnp.float32,
) -> Recipe:
    """The network that settings name.

    Args:
        num_classes: C.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        pixel_mean: mean of RGB in [0, 1] that its weights want; None for its own.
        pixel_std: deviation of RGB, above 0; None for its own.
        head: "hrnet", "ocr", or "v1", "v2", "v3" of DeepLab.
        head_settings: fields of its module.
        auxiliary: "endpoint" of the backbone and "width" (0: that of the endpoint) of
            an auxiliary head. Without it there is none, but for "ocr", which has one
            as wide as "embedding".
        projection: "convmlp" or "linear".
        projection_dim: D.
        channels: order in which the network sees the colours. "bgr" feeds blue
            normalised by the statistics of red first, as the released program does.
        dtype: type of the convolutions; classifiers and projection are float32 always.

    Raises:
        UserError: a module has no such field, or the backbone no such output.
    """
    dtype = jnp.dtype(dtype)
    module, entry = backbones.make(
        backbone,
        backbone_settings,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        dtype=dtype,
    )
    if channels == "bgr" and not entry.mean:
        raise UserError(
            "config.method.channels='bgr': a frozen network sees no colours; set 'rgb'"
        )
    given = {"num_classes": num_classes, "dtype": dtype}
    if not auxiliary and head == "ocr":
        auxiliary = {"endpoint": "embedding", "width": 0}
    aux_head, endpoint = None, "embedding"
    if auxiliary:
        of_head = dict(auxiliary)
        endpoint = of_head.pop("endpoint", "stage3")
        backbones.need_endpoints(module, (endpoint,), "auxiliary.endpoint")
        aux_head = modules.build(AuxiliaryHead, of_head, where="auxiliary", **given)
    net = ContrastNet(
        module,
        modules.build(HEADS[head], head_settings, where="head_settings", **given),
        ProjectionHead(projection, projection_dim),
        aux_head,
        endpoint,
        channels == "bgr",
        reads_auxiliary=head == "ocr",
    )
    turn = -1 if channels == "bgr" else 1
    rules = _init_rules(entry, head)
    return Recipe(net, entry.mean[::turn], entry.std[::turn], rules)


def _init_rules(entry: backbones.Backbone, head: str) -> tuple[tuple[str, Any], ...]:
    """As released: PyTorch's default around HRNet, elsewhere He-normal and biases 0."""
    rules = ()
    if head in ("hrnet", "ocr"):
        heads = r"^params/(head|auxiliary|projection)/.*conv/(kernel|bias)$"
        rules += ((heads, torch_uniform),)
    return (*rules, (r"^params/backbone/.*conv/kernel$", entry.kernels))
