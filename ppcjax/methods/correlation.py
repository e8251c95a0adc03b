"""What the pixel correlation of activation maps compares, as settings."""

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
        and image, or the backbone's "embedding", for which nothing is learnt.
    affinity: channels of the reduced stage3, of the reduced stage4 and of their
        mixture in the pixel correlation.
    image_gain: weight of the image in the mixture.
    centred: whether what is compared loses its mean over the photo; None: only the
        embedding does.
    affinity_power: power of the similarities in the pixel correlation; 2 suits the
        embedding.
    correlation_block: columns of the pixel correlation formed at once.
    """

    affinity_from: Literal["mixture", "embedding"] = "mixture"
    affinity: tuple[Channels, Channels, Channels] = (64, 128, 192)
    image_gain: common.Weight = 1.0
    centred: bool | None = None
    affinity_power: kinds.Power = 1.0
    correlation_block: Annotated[kinds.Block, "cells"] = 1024

    def __post_init__(self):
        """Raises UserError for settings of a mixture that is not there."""
        for name in ("affinity", "image_gain"):
            value = getattr(self, name)
            if self.affinity_from != "mixture" and value != getattr(Correlation, name):
                raise UserError(
                    f"config.method.{name}={value} is of the mixture and does nothing "
                    f"for affinity_from={self.affinity_from!r}: leave one out"
                )

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Outputs of the backbone that the heads read."""
        stages = ("stage3", "stage4") if self.affinity_from == "mixture" else ()
        return (*stages, "embedding")

    def check(self, weights: seam.Weights, maps: str) -> None:
        """Raises UserError where something asks for what this affinity cannot do.

        Args:
            weights: those of the losses, some of which train refined maps alone.
            maps: what is predicted.
        """
        if self.affinity_from == "mixture":
            if maps == "affinity":
                raise UserError(
                    "config.method.maps='affinity' are spread by similarities of the "
                    "embedding: set affinity_from='embedding', too"
                )
            return
        for name in ("min_pooling", "cross_equivariance"):
            if weight := getattr(weights, name):
                raise UserError(
                    f"config.method.{name}={weight:g} trains refined maps, in which "
                    "nothing is learnt for affinity_from='embedding': set it to 0"
                )

    def fields(self) -> dict[str, Any]:
        """The fields of `CamHeads` that these settings fill."""
        centred = self.centred
        return {
            "affinity": self.affinity,
            "correlation_block": self.correlation_block,
            "image_gain": self.image_gain,
            "centred": self.affinity_from != "mixture" if centred is None else centred,
            "affinity_from": self.affinity_from,
            "affinity_power": self.affinity_power,
        }
