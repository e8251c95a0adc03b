"""Random walk of scores along affinities, without the dense transition matrix.

Ahn and Kwak (PSA), CVPR 2018, section 3.3. A cell has 34 pairs as an anchor and as many
as a partner, so a step of the walk is a sum over 69 shifted maps.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp

from ppcjax.nn.layers import clip_to, shrink
from ppcjax.ops.affinity import pair_offsets
from ppcjax.ops.resize import resize


@partial(jax.jit, static_argnames=("power", "steps", "radius"))
def random_walk(
    affinity: chex.Array,
    scores: chex.Array,
    extent: chex.Array | None = None,
    *,
    power: float = 8,
    steps: int = 64,
    radius: int = 5,
) -> jax.Array:
    """Scores after a number of steps.

        S = I + sum over pairs ij of a_ij^power (E_ij + E_ji)
        T_ij = S_ij / sum_k S_kj
        result = scores T^steps,  scores as row vectors

    Args:
        affinity: [B, O, h, w] in [0, 1], as `predict` of the affinity method gives it:
            0 where there is no pair.
        scores: [B, h, w, C], any real values.
        extent: [B, 2] true rows and columns; None: all.
        power: exponent >= 1 of the affinity; the higher, the fewer ways remain.
        steps: number of steps >= 0. The release squares T: 6 times in PPC, 8 in PSA.
        radius: partners are nearer than this, cells.

    Returns:
        [B, h, w, C] float32, each a mean of the scores around; 0 beyond the extent.
    """
    offsets, reach = pair_offsets(radius), radius - 1
    height, width = scores.shape[1:3]
    chex.assert_shape(affinity, (scores.shape[0], len(offsets), height, width))
    around = ((0, 0), (0, 0), (reach, reach), (reach, reach))
    weights = jnp.asarray(affinity, jnp.float32) ** power
    weights = jnp.pad(weights, around)

    def moved(x, dy, dx):  # padded [..., h', w'] -> [..., h, w], seen from (dy, dx)
        top, left = reach + dy, reach + dx
        return x[..., top : top + height, left : left + width]

    def spread(x):  # [B, C, h, w] -> x S
        padded, total = jnp.pad(x, around), x
        for i, (dy, dx) in enumerate(offsets.tolist()):
            weight = weights[:, i : i + 1]
            total += moved(weight, 0, 0) * moved(padded, dy, dx)
            total += moved(weight, -dy, -dx) * moved(padded, -dy, -dx)
        return total

    maps = jnp.moveaxis(clip_to(jnp.asarray(scores, jnp.float32), extent), -1, 1)
    column_sums = spread(jnp.ones_like(maps[:, :1]))
    maps = jax.lax.fori_loop(0, steps, lambda _, x: spread(x) / column_sums, maps)
    return jnp.moveaxis(maps, 1, -1)


def walk_image(
    affinity: chex.Array,
    scores: chex.Array,
    *,
    extent: chex.Array | None = None,
    background: float = 0.27,
    alpha: float | None = None,
    power: float = 8,
    steps: int = 64,
    stride: int = 8,
    radius: int = 5,
) -> jax.Array:
    """`walk_images` of one image: [O, h, w] and [H, W, C] -> [H, W, C]."""
    result = walk_images(
        jnp.asarray(affinity)[None],
        jnp.asarray(scores)[None],
        None if extent is None else jnp.asarray(extent)[None],
        background=background,
        alpha=alpha,
        power=power,
        steps=steps,
        stride=stride,
        radius=radius,
    )
    return result[0]


@partial(jax.jit, static_argnames=("alpha", "power", "steps", "stride", "radius"))
def walk_images(
    affinity: chex.Array,
    scores: chex.Array,
    extent: chex.Array | None = None,
    *,
    background: float = 0.27,
    alpha: float | None = None,
    power: float = 8,
    steps: int = 64,
    stride: int = 8,
    radius: int = 5,
) -> jax.Array:
    """Class scores of images after the random walk.

    The background gets its score, all are averaged over cells (what is beyond the
    image counts 0), walk, and are resized to pixels with half-pixel centres. Classes
    do not mix, so channels of classes that an image does not show may be left out.

    Args:
        affinity: [B, O, h, w] with h = ceil(H / stride), of the same images.
        scores: [B, H, W, C], channel 0 background (ignored), others at most 1.
            Negative ones, which mean nothing, count as 0.
        extent: [B, 2] true rows and columns of images in the corner of canvases;
            None: the images fill them.
        background: its constant score; 0.27 in PPC.
        alpha: where given, the background's score is (1 - max of the others)^alpha
            instead; 6 in SEAM, 16 in PSA.
        power: exponent of the affinity, see `random_walk`.
        steps: steps of the walk, see `random_walk`.
        stride: side of a cell, pixels.
        radius: partners are nearer than this, cells.

    Returns:
        [B, H, W, C] float32, 0 beyond the extent.

    Source: random-walk programs of the released PPC, SEAM and PSA.
    """
    batch, height, width, classes = scores.shape
    h, w = -(-height // stride), -(-width // stride)
    scores = jnp.clip(jnp.asarray(scores, jnp.float32), 0.0, 1.0)
    if alpha is not None:
        background = (1.0 - jnp.max(scores[..., 1:], axis=-1, initial=0.0)) ** alpha
    scores = clip_to(scores.at[..., 0].set(background), extent)
    beyond = ((0, 0), (0, h * stride - height), (0, w * stride - width), (0, 0))
    cells = jnp.pad(scores, beyond).reshape(batch, h, stride, w, stride, classes)
    cells = jnp.mean(cells, axis=(2, 4))
    low = shrink(extent, stride)
    cells = random_walk(affinity, cells, low, power=power, steps=steps, radius=radius)
    pixels = resize(
        cells,
        (h * stride, w * stride),
        align_corners=False,
        in_extent=low,
        out_extent=None if low is None else low * stride,
    )
    return clip_to(pixels[:, :height, :width], extent)
