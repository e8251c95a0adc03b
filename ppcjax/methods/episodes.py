"""The photos of episodes as one batch, as the few-shot methods share it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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
    """The B (N K + Q) photos of an EpisodeBatch: an episode's supports, its queries.

    Episode by episode, as the batch is shared out: all supports before all queries
    would send photos from device to device.
    """
    rows = batch["query_image"].shape[0]
    pair = photos(batch, "support"), photos(batch, "query")
    return Photos(
        *(
            flat(jnp.concatenate([_of_each(x, rows) for x in parts], axis=1), 2)
            for parts in zip(*pair, strict=True)
        )
    )


def split(found: Any, batch: Mapping[str, chex.Array]) -> tuple[Any, Any]:
    """What was found of `all_photos`: trees of the B N K supports and B Q queries."""
    rows, ways, shots = batch["shot_valid"].shape
    count = ways * shots
    tree = jax.tree.map(lambda x: _of_each(x, rows), found)
    return (
        jax.tree.map(lambda x: flat(x[:, :count], 2), tree),
        jax.tree.map(lambda x: flat(x[:, count:], 2), tree),
    )


def _of_each(x: chex.Array, rows: int) -> jax.Array:
    """[rows, M / rows, ...] of [M, ...]."""
    return jnp.reshape(x, (rows, -1, *x.shape[1:]))


def normalize(photos: Photos, entry: Backbone) -> jax.Array:
    """[M, H, W, 3] float32 as a backbone wants it, 0 beyond the photos."""
    if not entry.mean:
        return photos.image.astype(jnp.float32)
    image = photos.image.astype(jnp.float32) / 255.0
    return colour.normalize(image, photos.valid, mean=entry.mean, std=entry.std)
