"""What the network says at several scales, merged at the size of the image.

The device's side of `predict.tta`. Maps are [B, h, w, C] on canvases, images have
true sizes `extent` [B, 2], and results are those of the unpadded images.

Source: multi-scale inference of the released PPC (usr922/wseg) for activation maps;
of the segmentation code base its authors name, for logits.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp

from ppcjax.ops.resize import bilinear_matrix

_EPSILON = 1e-5
_EXACT = jax.lax.Precision.HIGHEST


@partial(jax.jit, static_argnames=("mid", "resizing"), donate_argnums=0)
def add_maps(total, maps, extent, scaled, cells, *, mid, resizing):
    """Adds the maps of one scale to the sum over scales.

    Args:
        total: [B, H, W, C], the sum so far.
        maps: [B, h, w, C], or [2B, h, w, C] with those of the mirrored images after.
        extent: [B, 2] true rows and columns of the images.
        scaled: [B, 2] the same after scaling.
        cells: [B, 2] true rows and columns of the maps.
        mid: canvas of the scaled images.
        resizing: "aligned" corners or "half_pixel" centres to the image at once, or
            "both": the first to the scaled image, the second from there.

    Returns:
        [B, H, W, C].
    """
    batch, height, width, _ = total.shape
    weights = {
        "aligned": partial(_one_resize, True),
        "half_pixel": partial(_one_resize, False),
        "both": _two_resizes,
    }[resizing]
    rows, columns = (
        jax.vmap(partial(weights, out, mid[axis], maps.shape[1 + axis]))(
            extent[:, axis], scaled[:, axis], cells[:, axis]
        )
        for axis, out in enumerate((height, width))
    )  # [B, H, h], [B, W, w]
    maps = maps.reshape(-1, batch, *maps.shape[1:])
    both = [columns, jax.vmap(_mirror)(columns, extent[:, 1])]
    columns = jnp.stack(both[: len(maps)])
    wide = jnp.einsum("kbjw,kbhwc->bhjc", columns, maps, precision=_EXACT)
    return total + jnp.einsum("bih,bhjc->bijc", rows, wide, precision=_EXACT)


def _two_resizes(out_size, mid_size, in_size, out_extent, mid_extent, in_extent):
    """Matrix [out, in] of aligned corners to the middle, then half-pixel centres.

    One product of two small matrices: the map in between is never formed.
    """
    to_mid = bilinear_matrix(
        mid_size,
        in_size,
        align_corners=True,
        out_extent=mid_extent,
        in_extent=in_extent,
    )
    to_out = bilinear_matrix(
        out_size,
        mid_size,
        align_corners=False,
        out_extent=out_extent,
        in_extent=mid_extent,
    )
    return jnp.matmul(to_out, to_mid, precision=_EXACT)


def _one_resize(
    align_corners, out_size, mid_size, in_size, out_extent, mid_extent, in_extent
):
    """Matrix [out, in] straight to the image."""
    del mid_size, mid_extent
    return bilinear_matrix(
        out_size,
        in_size,
        align_corners=align_corners,
        out_extent=out_extent,
        in_extent=in_extent,
    )


def _mirror(matrix, extent):
    """The matrix [out, in] whose output is mirrored within `extent` rows."""
    row = jnp.arange(matrix.shape[0])
    mirrored = matrix[jnp.maximum(extent - 1 - row, 0)]
    return jnp.where((row < extent)[:, None], mirrored, 0)


@partial(jax.jit, static_argnames="from_least")
def finish_maps(total, logits, tags, known, extent, *, from_least):
    """Scores [B, H, W, C] and tags [B, C]: given, else those with a positive logit.

    A photo without tags shows something: the likeliest class always counts.
    `from_least` is that of `normalize_scores`.
    """
    foreground = logits.at[:, 0].set(-jnp.inf)
    likeliest = jax.nn.one_hot(foreground.argmax(1), logits.shape[1], dtype=bool)
    tags = jnp.where(known[:, None], tags > 0, (foreground > 0) | likeliest)
    tags = tags.at[:, 0].set(True)
    return normalize_scores(total, tags, extent, from_least=from_least), tags


@partial(jax.jit, donate_argnums=0)
def finish_logits(total, copies):
    """Class probabilities [B, H, W, C] of the mean of `copies` logits."""
    return jax.nn.softmax(total / copies, axis=-1)


def normalize_scores(
    total: jax.Array, tags: jax.Array, extent: jax.Array, *, from_least: bool = True
) -> jax.Array:
    """Scores from summed activation maps, per image and class.

        x = max(total, 0), then 0 where x < min x + 1e-5
        score = (x - min x - 1e-5) / (max x - min x + 1e-5)

    The extremes are those before the small values are zeroed, over true pixels.

    Args:
        total: [B, H, W, C], any real values.
        tags: [B, C] in {0, 1}; classes without a tag score 0, background too.
        extent: [B, 2] true rows and columns; pixels beyond score 0.
        from_least: whether the minimum is subtracted, as above; False: score =
            x / (max x + 1e-5), as in EPS.

    Returns:
        [B, H, W, C] float32 below 1. Pixels at the minimum are negative, as released:
        slightly so as a rule, -1 for a map that is 0 everywhere, far below for a
        constant one. No threshold looks below 0.
    """
    chex.assert_rank([total, tags, extent], [4, 2, 2])
    rows = jnp.arange(total.shape[1])[None, :] < extent[:, :1]  # [B, H]
    columns = jnp.arange(total.shape[2])[None, :] < extent[:, 1:]  # [B, W]
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]  # [B, H, W, 1]
    x = jnp.maximum(total, 0)
    low = jnp.min(jnp.where(inside, x, jnp.inf), (1, 2), keepdims=True)
    high = jnp.max(jnp.where(inside, x, 0), (1, 2), keepdims=True)
    if from_least:
        x = jnp.where(x < low + _EPSILON, 0, x)
        scores = (x - low - _EPSILON) / (high - low + _EPSILON)
    else:
        scores = x / (high + _EPSILON)
    tagged = jnp.asarray(tags, bool).at[:, 0].set(False)
    return jnp.where(inside & tagged[:, None, None, :], scores, 0)
