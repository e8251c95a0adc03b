"""The saliency loss of EPS, which tells PPC's maps where objects end.

Lee et al., "Railroad is not a Train: Saliency as Pseudo-pixel Supervision for Weakly
Supervised Semantic Segmentation", CVPR 2021.
"""

from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp

from ppcjax.methods.common import Weight
from ppcjax.nn.cam_net import CamOutput
from ppcjax.nn.modules import Share
from ppcjax.ops import cam as cam_ops
from ppcjax.ops.resize import resize, shrink_nearest


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """How maps are compared with saliency, see `saliency_loss`.

    saliency: weight w_sal; above 0, batches need "saliency".
    saliency_overlap: least share of a class's cells that is salient.
    saliency_balance: weight of the foreground's estimate.
    """

    saliency: Weight = 0.0
    saliency_overlap: Share = 0.4
    saliency_balance: Share = 0.5


def saliency_loss(
    maps: chex.Array,
    saliency: chex.Array,
    tags: chex.Array,
    *,
    background: int,
    overlap: float = 0.4,
    balance: float = 0.5,
) -> jax.Array:
    """How far the maps, taken together, are from a saliency map.

        q = softmax_c U
        o_c = sum round(q_c) round(s) / sum (round(q_c) + 1e-4)
        foreground = sum of q_c over tagged c with o_c > overlap
        rest = 1 - (q_bg + sum of q_c over tagged c with o_c <= overlap)
        L = mean (balance foreground + (1 - balance) rest - s)^2

    A tagged class that lies mostly where nothing is salient counts as background.

    Args:
        maps: [B, h, w, C] maps U, the background among them.
        saliency: [B, h, w] in [0, 1].
        tags: [B, C] in {0, 1}.
        background: index of the background channel.
        overlap: in [0, 1].
        balance: weight of the foreground, in [0, 1].

    Returns:
        [] in [0, 1].

    Source: EPS, CVPR 2021, eq. 2-5.
    """
    chex.assert_rank([maps, saliency, tags], [4, 3, 2])
    q = jax.nn.softmax(maps.astype(jnp.float32), axis=-1)
    certain = jnp.round(jax.lax.stop_gradient(q))
    hits = jnp.sum(certain * jnp.round(saliency)[..., None], axis=(1, 2))  # [B, C]
    share = hits / jnp.sum(certain + 1e-4, axis=(1, 2))
    tagged = cam_ops.replace_channel(tags, background, 0.0)
    valid = tagged * (share > overlap)
    foreground = jnp.einsum("bhwc,bc->bhw", q, valid)
    other = jnp.einsum("bhwc,bc->bhw", q, tagged - valid)
    rest = 1.0 - (q[..., background] + other)
    estimate = balance * foreground + (1.0 - balance) * rest
    return jnp.mean((estimate - saliency) ** 2)


def saliency_term(
    outputs: list[CamOutput],
    saliency: chex.Array,
    tags: chex.Array,
    *,
    small_view: int,
    background: int,
    overlap: float,
    balance: float,
) -> jax.Array:
    """The saliency losses of plain maps and, with two views, of refined ones.

    Each is a mean over views; that of refined maps takes a softmax of what is near a
    distribution already, as released.

    Args:
        outputs: what the network says of the view, and of its smaller copy where there
            is one.
        saliency: [B, H, W] uint8 of the view.
        tags: [B, C] in {0, 1}.
        small_view: side of the copy, pixels.
        background: index of the background channel.
        overlap: least salient share of a class, see `saliency_loss`.
        balance: weight of the foreground, see `saliency_loss`.

    Returns:
        [].
    """
    full = saliency.astype(jnp.float32) / 255.0
    small = resize(full[..., None], (small_view, small_view), align_corners=True)
    total = 0.0
    for output, view in zip(outputs, (full, small[..., 0]), strict=False):
        kinds = (output.cam, output.refined) if len(outputs) > 1 else (output.cam,)
        target = shrink_nearest(view, output.cam.shape[1:3])
        total += sum(
            saliency_loss(
                maps,
                target,
                tags,
                background=background,
                overlap=overlap,
                balance=balance,
            )
            for maps in kinds
        )
    return total / len(outputs)
