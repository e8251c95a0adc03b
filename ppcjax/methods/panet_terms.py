"""What PANet computes from features: prototypes, logits and the alignment loss.

Wang et al., "PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment",
ICCV 2019: `prototypes` is eq. 1-2, `logits` eq. 3, `alignment` section 3.4.
"""

from collections.abc import Mapping
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.losses import cross_entropy
from ppcjax.methods.episodes import flat
from ppcjax.ops.masked_pooling import cosine_map, masked_average, masked_sums
from ppcjax.ops.resize import resize
from ppcjax.types import IGNORE

Batch = Mapping[str, chex.Array]


class Matching(NamedTuple):
    """How pixels are compared with prototypes; the settings of `panet`.

    scale: factor of the cosines.
    align_corners: convention of all resizes between image and grid.
    pooling: where features and masks meet, "image" or "grid".
    true_masks: whether the queries' prototypes are of their true masks, not of the
        predicted ones.
    """

    scale: float = 20.0
    align_corners: bool = False
    pooling: str = "image"
    true_masks: bool = False

    def sums(self, features, masks, extent=None, grid_extent=None):
        """`masked_sums` of [M, h, w, D] and [M, H, W, J]."""
        return masked_sums(
            features,
            masks,
            align_corners=self.align_corners,
            at=self.pooling,
            grid_extent=grid_extent,
            extent=extent,
        )

    def logits(self, features: chex.Array, centres: chex.Array) -> jax.Array:
        """Scaled cosines [B, S, h, w, J] of [B S, h, w, D] with [B, J, D]."""
        features = features.reshape(len(centres), -1, *features.shape[1:])
        return self.scale * cosine_map(features, centres)

    def to_image(self, logits: chex.Array, size: tuple[int, int]) -> jax.Array:
        """Logits [..., h, w, J] at the size of the image, [..., H, W, J]."""
        full = resize(
            flat(logits, logits.ndim - 3), size, align_corners=self.align_corners
        )
        return full.reshape(*logits.shape[:-3], *full.shape[1:])


def prototypes(
    matching: Matching,
    features: chex.Array,
    supports: Batch,
    extent: chex.Array | None = None,
    grid_extent: chex.Array | None = None,
) -> jax.Array:
    """The prototypes of the background and of N classes.

        P_c = mean_k p_ck,    P_0 = mean_c mean_k p^bg_ck

    Args:
        matching: settings.
        features: [B N K, h, w, D] of the supports.
        supports: "support_mask" and "shot_valid".
        extent: [B N K, 2] true rows and columns of the photos; None: all.
        grid_extent: [B N K, 2] true rows and columns of the features; None: all.

    Returns:
        [B, 1 + N, D], the background's first; zero vectors where no pixel counts.
    """
    masks = flat(supports["support_mask"], 3)[..., None]  # [M, H, W, 1]
    masks = jnp.concatenate([masks == 0, masks == 1], axis=-1)
    pooled = masked_average(*matching.sums(features, masks, extent, grid_extent))
    shot_valid = supports["shot_valid"]  # [B, N, K]
    pooled = pooled.reshape(*shot_valid.shape, *pooled.shape[1:])  # [B, N, K, 2, D]
    weights = shot_valid.astype(jnp.float32)
    weights = weights / jnp.maximum(jnp.sum(weights, axis=2, keepdims=True), 1.0)
    of_ways = jnp.einsum(
        "bnk,bnkjd->bnjd", weights, pooled, precision=jax.lax.Precision.HIGHEST
    )
    ground = jnp.mean(of_ways[:, :, 0], axis=1, keepdims=True)  # [B, 1, D]
    return jnp.concatenate([ground, of_ways[:, :, 1]], axis=1)


def query_prototypes(
    matching: Matching, features: chex.Array, logits: chex.Array, batch: Batch
) -> tuple[jax.Array, jax.Array]:
    """Prototypes from the queries' own masks, of all queries of an episode together.

    Predicted masks are the arg-max at the resolution of the features; they are
    constant for gradients.

    Args:
        matching: settings.
        features: [B Q, h, w, D] of the queries.
        logits: [B, Q, h, w, 1 + N].
        batch: "query_mask", where true masks are asked for.

    Returns:
        [B, 1 + N, D], and [B, 1 + N] how many pixels each is of.
    """
    rows, queries, *_, classes = logits.shape
    if matching.true_masks:
        masks = jax.nn.one_hot(batch["query_mask"], classes)  # IGNORE: of none
    else:
        masks = jax.nn.one_hot(jnp.argmax(logits, axis=-1), classes)
    sums, area = matching.sums(features, flat(masks, 2))
    sums = jnp.sum(sums.reshape(rows, queries, classes, -1), axis=1)
    area = jnp.sum(area.reshape(rows, queries, classes), axis=1)
    return masked_average(sums, area), area


def alignment(
    matching: Matching,
    support_features: chex.Array,
    centres: chex.Array,
    area: chex.Array,
    batch: Batch,
) -> jax.Array:
    """The supports, segmented by the prototypes of the queries.

    Each support knows two classes, its own and the background. Ways without a pixel in
    the queries' masks count as 0.

    Args:
        matching: settings.
        support_features: [B N K, h, w, D].
        centres: [B, 1 + N, D] of `query_prototypes`.
        area: [B, 1 + N] of `query_prototypes`.
        batch: "support_mask" and "shot_valid".

    Returns:
        [] nats: mean over supports of the mean over pixels. With true masks the pixels
        of all episodes of a shot share one mean, as in the variant.
    """
    shots, mask = batch["shot_valid"], batch["support_mask"]
    ways = shots.shape[1]
    ground = jnp.broadcast_to(centres[:, :1], centres[:, 1:].shape)
    pairs = jnp.stack([ground, centres[:, 1:]], axis=2)  # [B, N, 2, D]
    logits = matching.logits(support_features, flat(pairs, 2))
    logits = logits.reshape(-1, ways, *logits.shape[1:])  # [B, N, K, h, w, 2]
    seen = (area[:, 1:] > 0)[..., None] & shots  # [B, N, K]
    mask = jnp.where(seen[..., None, None], mask, IGNORE)
    logits = matching.to_image(logits, mask.shape[-2:])
    axes = 3
    if matching.true_masks:
        logits, mask, shots = (jnp.moveaxis(x, 0, 2) for x in (logits, mask, shots))
        shots, axes = jnp.any(shots, axis=2), 2  # [N, K], then episodes are pixels
    nats = jax.vmap(cross_entropy)(flat(logits, axes), flat(mask, axes))
    return jnp.sum(nats) / jnp.maximum(jnp.sum(shots), 1)
