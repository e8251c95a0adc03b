"""Features that a frozen network gave of photos, where a backbone stands otherwise."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ppcjax.nn.layers import clip_to, shrink
from ppcjax.nn.modules import Channels, Count

NAME = "frozen"  # in config.method.backbone
_STAGES = ("stage2", "stage3", "stage4")  # as which the features are given, too


class FrozenFeatures(nn.Module):
    """All outputs are the features that it is given, so that nothing is computed.

    width: channels D of the features.
    stride: pixels of the photo per cell.
    class_attention: whether a channel follows, the class token's weight for a cell.
    attention: heads and width of the queries, then keys, that follow those.
    dtype: type of the outputs.
    """

    width: Channels = 384
    stride: Count = 14
    class_attention: bool = False
    attention: tuple[Count, Channels] | None = None
    dtype: Any = jnp.float32

    aligned = False  # cells are squares of pixels

    @property
    def heads(self) -> int:
        """Heads of the attention; 1 where none is given."""
        return self.attention[0] if self.attention else 1

    @property
    def parts(self) -> dict[str, int]:
        """Channels of each part of what it is given, in their order."""
        found = {"embedding": self.width}
        if self.class_attention:
            found["class_attention"] = 1
        if self.attention:
            found |= dict.fromkeys(("queries", "keys"), self.attention[1])
        return found

    @property
    def in_channels(self) -> int:
        """Channels of what it is given; other backbones are given three colours."""
        return sum(self.parts.values())

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return (*_STAGES, *self.parts)

    def __call__(self, x, extent=None, *, train=False):
        """The features as every stage, and the other parts by their names.

        Args:
            x: [B, h, w, D] features, and what lies beside them.
            extent: [B, 2] rows and columns of the photos in pixels, or None.
            train: ignored; nothing is learnt here.

        Returns:
            [B, h, w, D] by name, zero beyond the extent.
        """
        del train
        found = clip_to(x, shrink(extent, self.stride)).astype(self.dtype)
        ends = np.cumsum(list(self.parts.values()))[:-1]
        parts = dict(zip(self.parts, jnp.split(found, ends, axis=-1), strict=True))
        return dict.fromkeys(_STAGES, parts["embedding"]) | parts


def is_aligned(backbone: nn.Module) -> bool:
    """Whether the corner cells of a network's grid lie on the corners of the photo.

    So published networks have it; where they do not, cell i covers pixels from
    i * stride to (i + 1) * stride.
    """
    return getattr(backbone, "aligned", True)


def is_frozen(backbone: nn.Module) -> bool:
    """Whether a backbone is given features, and has nothing to train."""
    return isinstance(backbone, FrozenFeatures)


def in_channels(net: nn.Module) -> int:
    """Channels of the input of a network on a backbone."""
    return getattr(getattr(net, "backbone", None), "in_channels", 3)
