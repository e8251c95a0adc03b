"""What the pixel correlation of activation maps compares, as settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ppcjax.fields import kinds
from ppcjax.methods import common, seam
from ppcjax.nn.modules import Channels
from ppcjax.types import UserError


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """How cells of a photo are compared, see `ppcjax.nn.cam_net.CamHeads`.

    affinity_from: what the pixel correlation compares: the learnt "mixture" of stages
        and image; the backbone's "embedding", or the "attention" of a transformer's
        last block, for which nothing is learnt; or the "projection", which PPC's
        contrasts alone train.
    affinity: channels of the reduced stage3, of the reduced stage4 and of their
        mixture in the pixel correlation.
    image_gain: weight of the image in the mixture.
    centred: whether what is compared loses its mean over the photo; None: only the
        embedding does.
    affinity_power: power of the similarities in the pixel correlation; 2 suits the
        embedding.
    class_attention: power of the weight that a transformer's class token gives a cell,
        by which maps="affinity" are multiplied before they are spread; 0 for none.
    correlation_block: columns of the pixel correlation formed at once.
    """

    affinity_from: Literal["mixture", "embedding", "attention", "projection"] = (
        "mixture"
    )
    affinity: tuple[Channels, Channels, Channels] = (64, 128, 192)
    image_gain: common.Weight = 1.0
    centred: bool | None = None
    affinity_power: kinds.Power = 1.0
    class_attention: common.Weight = 0.0
    correlation_block: Annotated[kinds.Block, "cells"] = 1024

    def __post_init__(self):
        """Raises UserError for settings of what is not compared."""
        if self.affinity_from != "mixture":
            self._refuse(("affinity", "image_gain"), "the mixture")
        if self.affinity_from == "attention":
            names = ("centred", "affinity_power", "correlation_block")
            self._refuse(names, "similarities")

    def _refuse(self, names, whose):
        """Raises UserError where one of these settings is not as it is by itself."""
        for name in names:
            value = getattr(self, name)
            if value != getattr(Correlation, name):
                raise UserError(
                    f"config.method.{name}={value} is of {whose} and does nothing "
                    f"for affinity_from={self.affinity_from!r}: leave one out"
                )

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Outputs of the backbone that the heads read."""
        further = {"mixture": ("stage3", "stage4"), "attention": ("queries", "keys")}
        looked_at = ("class_attention",) if self.class_attention else ()
        return (*further.get(self.affinity_from, ()), *looked_at, "embedding")

    def check(self, weights: seam.Weights, maps: str) -> None:
        """Raises UserError where something asks for what this affinity cannot do.

        Args:
            weights: those of the losses, some of which train refined maps alone.
            maps: what is predicted.
        """
        if self.class_attention and maps != "affinity":
            raise UserError(
                f"config.method.class_attention={self.class_attention:g} is for "
                f"maps='affinity' and does nothing for {maps!r}: leave one out"
            )
        if self.affinity_from == "mixture":
            if maps == "affinity":
                raise UserError(
                    "config.method.maps='affinity' are spread by what is not learnt: "
                    "set affinity_from='embedding' or another, too"
                )
            return
        for name in ("min_pooling", "cross_equivariance"):
            if weight := getattr(weights, name):
                raise UserError(
                    f"config.method.{name}={weight:g} trains refined maps, in which "
                    f"nothing is learnt for affinity_from={self.affinity_from!r}: "
                    "set it to 0"
                )

    def check_frozen(self, contrasts: Mapping[str, float]) -> None:
        """Raises UserError for contrasts that train what no map is made of.

        Args:
            contrasts: weights of PPC's contrasts by name, on a frozen backbone.
        """
        for name, weight in contrasts.items():
            if weight and self.affinity_from != "projection":
                raise UserError(
                    f"config.method.{name}={weight:g}: on a frozen network contrast "
                    "trains the projection alone, of which no map is made for "
                    f"affinity_from={self.affinity_from!r}: set 'projection' there, or "
                    f"{name} to 0"
                )

    def fields(self, backbone: Any) -> dict[str, Any]:
        """The fields of `CamHeads` that these settings fill, on a backbone's module."""
        centred = self.centred
        return {
            "affinity": self.affinity,
            "correlation_block": self.correlation_block,
            "image_gain": self.image_gain,
            "centred": self.affinity_from != "mixture" if centred is None else centred,
            "affinity_from": self.affinity_from,
            "affinity_power": self.affinity_power,
            "attention_heads": getattr(backbone, "heads", 1),
            "class_attention": self.class_attention,
        }
