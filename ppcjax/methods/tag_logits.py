"""From activation maps to one logit per class, which image tags train."""

from dataclasses import dataclass
from typing import Annotated, Literal

import chex
import jax

from ppcjax.fields import Range, kinds
from ppcjax.nn.deeplab import global_mean
from ppcjax.nn.layers import inside
from ppcjax.ops import tag_pooling
from ppcjax.ops.resize import resized_mean
from ppcjax.types import UserError

# Of each kind of pooling but the mean: its one setting, and the usual value.
_SETTINGS = {
    "top_k": ("pooling_share", 0.1),
    "lse": ("pooling_sharpness", 5.0),
    "attention": ("pooling_temperature", 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How maps become one logit per class for the tags, see `ppcjax.ops.tag_pooling`.

    pooling: "mean" of the maps; "top_k", the mean of their largest share; "lse", the
        logarithm of the mean exponential; "attention", the mean weighted by a softmax
        over the cells. The mean is that of maps as large as the view, padding included,
        as published; the others are of the network's cells that the photo touches.
    pooling_share: share of the cells that counts for "top_k"; None: 0.1.
    pooling_sharpness: factor r in the exponentials of "lse", from the mean at 0 to the
        maximum at large ones; None: 5.
    pooling_temperature: divisor of the maps in the softmax of "attention"; None: 1.
    """

    pooling: Literal["mean", "top_k", "lse", "attention"] = "mean"
    pooling_share: Annotated[float, Range(above=0, most=1)] | None = None
    pooling_sharpness: kinds.Gain | None = None
    pooling_temperature: kinds.Temperature | None = None

    def __post_init__(self):
        """Raises UserError for the setting of another kind, which would do nothing."""
        for kind, (name, _) in _SETTINGS.items():
            value = getattr(self, name)
            if value is not None and kind != self.pooling:
                raise UserError(
                    f"config.method.{name}={value:g} is for pooling={kind!r} and does "
                    f"nothing for {self.pooling!r}: leave one out"
                )

    def of_view(
        self,
        maps: chex.Array,
        size: tuple[int, int],
        valid: chex.Array,
        canvas: tuple[int, int],
    ) -> jax.Array:
        """Logits of a view in training.

        Args:
            maps: [B, h, w, C] raw maps of the view.
            size: (H, W) at which maps of the view are compared.
            valid: [B, 4] rectangle (y0, x0, y1, x1) of the photo on its canvas, pixels.
            canvas: rows and columns of that canvas, all of which the view shows.

        Returns:
            [B, C] float32.
        """
        if self.pooling == "mean":
            return resized_mean(maps, size)
        cells = tag_pooling.cells_of(valid, canvas, maps.shape[1:3])
        return self._of_cells(maps, cells)

    def of_photo(self, maps: chex.Array, extent: chex.Array | None) -> jax.Array:
        """Logits [B, C] float32 of maps [B, h, w, C] that are true up to `extent`.

        Args:
            maps: raw maps.
            extent: [B, 2] true rows and columns of the maps; None: all.
        """
        if self.pooling == "mean":
            return global_mean(maps, extent)[:, 0, 0]
        return self._of_cells(maps, inside(maps, extent))

    def _of_cells(self, maps, cells):
        name, usual = _SETTINGS[self.pooling]
        chosen = getattr(self, name)
        pool = {
            "top_k": tag_pooling.largest_share,
            "lse": tag_pooling.log_mean_exp,
            "attention": tag_pooling.attention_mean,
        }[self.pooling]
        return pool(maps, usual if chosen is None else chosen, inside=cells)
