"""The network of `ppc`, its photos and its classes, for all that looks into it."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import Range
from ppcjax.methods import common
from ppcjax.methods.correlation import Correlation
from ppcjax.nn import modules
from ppcjax.nn.backbones import Backbone, need_endpoints
from ppcjax.nn.cam_net import CamHeads, CamNet
from ppcjax.nn.modules import Channels
from ppcjax.ops.resize import resize
from ppcjax.types import DenseBatch

Maps = Literal["refined", "cam", "softmax", "affinity"]


@dataclass(frozen=True, kw_only=True)
class Network(common.Network):
    """The network of SEAM, with the projector of PPC.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    dtype: type of the backbone's convolutions; heads, losses and similarities are
        float32 always.
    background: channel of the background in the network, which decides ties; -1 for
        the last, which EPS has. In batches and predictions it is 0 always.
    projection: channels D of the contrast features.
    dropout: rate on the embedding.
    """

    backbone: common.BackboneName = "wide_resnet38"
    background: Annotated[int, Range(-1, 65535)] = 0
    projection: Channels = 128
    dropout: modules.Dropout = 0.5


class Built(NamedTuple):
    """The network of a method, and how photos and classes are brought to it.

    net: the network.
    entry: its backbone, with the colours that it wants.
    order: class of each channel of the network; the background is class 0 wherever its
        channel is.
    """

    net: CamNet
    entry: Backbone
    order: np.ndarray


def build(
    num_classes: int,
    *,
    network: Network,
    correlation: Correlation,
    maps: Maps = "refined",
) -> Built:
    """The network of `ppc`, for what looks into it.

    Args:
        num_classes: C >= 2, the background included.
        network: the network.
        correlation: what its pixel correlation compares.
        maps: what `predict` returns.

    Raises:
        UserError: settings do not go together.
    """
    module, entry = network.make_backbone()
    need_endpoints(module, correlation.endpoints, "backbone", one_grid=True)
    background = network.background % num_classes
    heads = CamHeads(
        num_classes,
        background,
        network.projection,
        dropout=network.dropout,
        spreads=maps == "affinity",
        **correlation.fields(module),
    )
    order = np.insert(np.arange(1, num_classes), background, 0)
    return Built(CamNet(module, heads), entry, order)


def second_view(image: jax.Array, batch: DenseBatch, side: int) -> jax.Array:
    """The smaller copy of the images, which a frozen network has looked at itself.

    Args:
        image: [B, H, W, *] images, or features for them.
        batch: "second_image" is read where there is one.
        side: that of the copy, pixels.

    Returns: [B, side, side, 3], or features.
    """
    if "second_image" in batch:
        return batch["second_image"].astype(jnp.float32)
    return resize(image, (side, side), align_corners=True)
