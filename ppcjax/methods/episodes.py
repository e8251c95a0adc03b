"""The photos of episodes as one batch, as the few-shot methods share it."""

from collections.abc import Mapping
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.nn.backbones import Backbone
from ppcjax.ops import colour


class Photos(NamedTuple):
    """M photos on canvases: image [M, H, W, 3] uint8, valid [M, 4] int32."""

    image: chex.Array
    valid: chex.Array

    @property
    def extent(self) -> chex.Array:
        """True rows and columns [M, 2] of photos that lie in the top left corner."""
        return self.valid[:, 2:]


def flat(x: chex.Array, count: int) -> jax.Array:
    """`x` with its first `count` axes made one."""
    return jnp.reshape(x, (-1, *x.shape[count:]))


def photos(batch: Mapping[str, chex.Array], kind: str) -> Photos:
    """The supports ("support") or the queries ("query") of an EpisodeBatch."""
    axes = 3 if kind == "support" else 2
    return Photos(
        flat(batch[f"{kind}_image"], axes), flat(batch[f"{kind}_valid"], axes)
    )


def all_photos(batch: Mapping[str, chex.Array]) -> Photos:
    """The B N K supports, then the B Q queries of an EpisodeBatch."""
    pair = photos(batch, "support"), photos(batch, "query")
    return Photos(*(jnp.concatenate(parts) for parts in zip(*pair, strict=True)))


def normalize(photos: Photos, entry: Backbone) -> jax.Array:
    """[M, H, W, 3] float32 as a backbone wants it, 0 beyond the photos."""
    image = photos.image.astype(jnp.float32) / 255.0
    return colour.normalize(image, photos.valid, mean=entry.mean, std=entry.std)
