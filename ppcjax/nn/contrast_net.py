"""The segmenter of ContrastiveSeg: a backbone, a head, and a projection beside it.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from ppcjax.nn import backbones
from ppcjax.nn.heads import HEADS, AuxiliaryHead, OCRHead
from ppcjax.nn.hrnet import HRNet
from ppcjax.nn.init import he_normal_fan_out, torch_uniform
from ppcjax.nn.layers import clip_to, features_extent
from ppcjax.nn.projection import ProjectionHead
from ppcjax.nn.resnet import ResNet
from ppcjax.types import UserError

NAMES = (*HEADS, "ocr")


class ContrastNet(nn.Module):
    """Class scores, and in training embeddings of the same grid.

    backbone: a module of `ppcjax.nn.backbones`.
    head: of `ppcjax.nn.heads`; an OCRHead reads the auxiliary scores.
    projection: of "embedding", the features that the head reads too.
    auxiliary: classifies an endpoint on the way; None: there is none.
    auxiliary_endpoint: which one.
    bgr: whether the channels are turned round first.
    """

    backbone: nn.Module
    head: nn.Module
    projection: nn.Module
    auxiliary: nn.Module | None = None
    auxiliary_endpoint: str = "embedding"
    bgr: bool = False

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

        Raises:
            UserError: the backbone has no such auxiliary endpoint.
        """
        features = self.backbone(
            image[..., ::-1] if self.bgr else image, extent, train=train
        )
        extent, x = features_extent(self.backbone, extent), features["embedding"]
        out = {} if extent is None else {"extent": extent}
        if self.auxiliary is not None:
            x_aux = self._endpoint(features)
            out["aux"] = clip_to(self.auxiliary(x_aux, extent, train=train), extent)
        if isinstance(self.head, OCRHead):
            logits = self.head(x, out["aux"], extent, train=train)
        else:
            logits = self.head(x, extent, train=train)
        out["logits"] = clip_to(logits, extent)
        if embed:
            out["embedding"] = self.projection(x, extent, train=train)
        return out

    def _endpoint(self, features):
        if self.auxiliary_endpoint not in features:
            raise UserError(
                f"auxiliary endpoint {self.auxiliary_endpoint!r}: this backbone has "
                + ", ".join(features)
            )
        return features[self.auxiliary_endpoint]


class Recipe(NamedTuple):
    """A network and what belongs to it.

    net: the module; `net.init` with embed=True (the default) makes all parameters.
    mean, std: of RGB in [0, 1], for `ppcjax.ops.colour.normalize`.
    init_rules: for `ppcjax.nn.init.initialize`.
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
        head: "hrnet", "ocr", or "v1", "v2", "v3" of DeepLab.
        head_settings: fields of its module.
        auxiliary: "endpoint" of the backbone and "width" (0: that of the endpoint) of
            an auxiliary head; None: none, but with "ocr" one as wide as "embedding".
        projection: "convmlp" or "linear".
        projection_dim: D.
        channels: order in which the network sees the colours. "bgr" feeds blue
            normalised by the statistics of red first, as the released program does.
        dtype: of the convolutions; classifiers and projection are float32 always.

    Raises:
        ValueError: for a setting outside its range.
    """
    if head not in NAMES:
        raise ValueError(f"head={head!r}: choose one of {', '.join(NAMES)}")
    if channels not in ("rgb", "bgr"):
        raise ValueError(f"channels={channels!r}: choose 'rgb' or 'bgr'")
    dtype = jnp.dtype(dtype)
    module, entry = backbones.make(backbone, dtype=dtype, **(backbone_settings or {}))
    if auxiliary is None and head == "ocr":
        auxiliary = {"endpoint": "embedding", "width": 0}
    aux_head, endpoint = None, "embedding"
    if auxiliary:
        fields = dict(auxiliary)
        endpoint = fields.pop("endpoint", "stage3")
        aux_head = AuxiliaryHead(num_classes, dtype=dtype, **fields)
    make_head = OCRHead if head == "ocr" else HEADS[head]
    bgr = channels == "bgr"
    net = ContrastNet(
        module,
        make_head(num_classes, dtype=dtype, **(head_settings or {})),
        ProjectionHead(projection, projection_dim),
        aux_head,
        endpoint,
        bgr,
    )
    turn = -1 if bgr else 1
    rules = _init_rules(module, head)
    return Recipe(net, entry.mean[::turn], entry.std[::turn], rules)


def _init_rules(backbone: nn.Module, head: str) -> tuple[tuple[str, Any], ...]:
    """As released: PyTorch's default around HRNet, else He-normal with biases 0."""
    rules = ()
    if head in ("hrnet", "ocr"):
        heads = r"^params/(head|auxiliary|projection)/.*conv/(kernel|bias)$"
        rules += ((heads, torch_uniform),)
    of_backbone = {HRNet: torch_uniform, ResNet: he_normal_fan_out}.get(type(backbone))
    if of_backbone is not None:
        rules += ((r"^params/backbone/.*conv/kernel$", of_backbone),)
    return rules
