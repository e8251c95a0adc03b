"""The losses of SEAM on the outputs for a view and for a smaller copy of it.

Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly Supervised
Semantic Segmentation", CVPR 2020: `equivariant_regularization` is eq. 5 (ER),
`equivariant_cross_regularization` eq. 6 (ECR). `min_pooling` is in the released
program only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import Range
from ppcjax.losses import multilabel_soft_margin
from ppcjax.methods.common import Weight
from ppcjax.nn.cam_net import CamOutput
from ppcjax.ops import cam as cam_ops
from ppcjax.ops.ranks import largest_mean, smallest_mean
from ppcjax.ops.resize import resize, resized_mean


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the terms of SEAM; 0 leaves one out.

    min_pooling: weight w_min.
    equivariance: weight w_er.
    cross_equivariance: weight w_ecr.
    teacher_background: channel that the teacher of ECR takes for the background; None
        for the right one. EPS + PPC as released has 0, with the background last.
    """

    min_pooling: Weight = 1.0
    equivariance: Weight = 1.0
    cross_equivariance: Weight = 1.0
    teacher_background: Annotated[int, Range(0, 65535)] | None = None

    def by_term(self) -> dict[str, float]:
        """The weights by the names of `terms`."""
        return {
            "min_pooling": self.min_pooling,
            "equivariance": self.equivariance,
            "cross_equivariance": self.cross_equivariance,
        }


def min_pooling(
    maps: chex.Array, tags: chex.Array, *, background: int = 0, share: float = 0.25
) -> jax.Array:
    """Pushes the quietest part of an image down, so that background shows.

        u = max_fg relu(maps * y);  loss = mean of the floor(share H W) smallest u

    Args:
        maps: [B, H, W, C].
        tags: [B, C] in {0, 1}.
        background: index of the background channel.
        share: share of the pixels that counts, in (0, 1).

    Returns:
        [] mean activation.
    """
    active = jax.nn.relu(maps * tags[:, None, None, :])
    strongest = cam_ops.foreground_max(active, background)  # [B, H, W]
    strongest = strongest.reshape(strongest.shape[0], -1)
    count = max(1, int(strongest.shape[1] * share))
    return jnp.mean(smallest_mean(strongest, count))


def tagged_max_norm(
    maps: chex.Array,
    tags: chex.Array,
    view_size: tuple[int, int],
    size: tuple[int, int],
) -> jax.Array:
    """Maps of a view as ER and ECR compare them.

    They are resized to the view, max-normalised there, resized to the common size,
    then multiplied by the tags, in this order.

    Args:
        maps: [B, h, w, C] at the resolution of the network.
        tags: [B, C] in {0, 1}.
        view_size: (H, W) of the view.
        size: (H, W) at which views are compared.

    Returns:
        [B, *size, C] in [0, 1].
    """
    maps = cam_ops.max_norm(resize(maps, view_size, align_corners=True))
    return resize(maps, size, align_corners=True) * tags[:, None, None, :]


def equivariant_regularization(
    one: chex.Array, two: chex.Array, *, background: int = 0
) -> jax.Array:
    """ER: mean absolute difference of two views' maps over foreground classes.

    Args:
        one: [B, H, W, C] of `tagged_max_norm`.
        two: [B, H, W, C].
        background: index of the background channel.

    Returns:
        [] in [0, 1].
    """
    chex.assert_equal_shape([one, two])
    difference = cam_ops.replace_channel(jnp.abs(one - two), background, 0.0)
    foreground_entries = (
        difference.size // difference.shape[-1] * (difference.shape[-1] - 1)
    )
    return jnp.sum(difference) / foreground_entries


def equivariant_cross_regularization(
    cams: tuple[chex.Array, chex.Array],
    refined: tuple[chex.Array, chex.Array],
    *,
    background: int = 0,
    teacher_background: int | None = None,
    share: float = 0.2,
) -> tuple[jax.Array, jax.Array]:
    """ECR: each view's refined maps follow the other view's plain maps.

    The teacher is the plain map with background 1 - max_fg, of which each pixel keeps
    its strongest foreground class (its value, not a one). The largest `share` of the
    absolute differences of each image counts.

    Args:
        cams: [B, H, W, C] of `tagged_max_norm`, of both views; constant here.
        refined: [B, H, W, C] the same of the refined maps.
        background: index of the background channel.
        teacher_background: channel that is kept beside the strongest other one; None:
            the background. EPS + PPC as released takes 0 while its background is last.
        share: share of an image's C H W differences that counts, in (0, 1].

    Returns:
        [] and [], the terms of refined view 1 and of refined view 2; ECR is their sum.
    """
    kept = background if teacher_background is None else teacher_background

    def teacher(cam):
        cam = jax.lax.stop_gradient(cam)
        rest = 1.0 - cam_ops.foreground_max(cam, background)
        cam = cam_ops.replace_channel(cam, background, rest)
        return cam_ops.keep_foreground_max(cam, kept)

    def term(target, student):
        chex.assert_equal_shape([target, student])
        difference = jnp.abs(target - student).reshape(target.shape[0], -1)
        count = max(1, int(difference.shape[1] * share))
        return jnp.mean(largest_mean(difference, count))

    return (
        term(teacher(cams[1]), refined[0]),
        term(teacher(cams[0]), refined[1]),
    )


def classification(
    outputs: list[CamOutput],
    tags: chex.Array,
    sizes: list[tuple[int, int]],
    background: int,
    pool: Callable[[chex.Array, tuple[int, int]], jax.Array] = resized_mean,
) -> jax.Array:
    """L_cls: tags predicted from each view's maps.

    Args:
        outputs: what the network says of each view.
        tags: [B, C] in {0, 1}.
        sizes: (H, W) of each view.
        background: index of the channel left out.
        pool: maps [B, h, w, C] and the size of their view -> logits [B, C]; by default
            the mean of the upsampled maps.

    Returns:
        [] nats, mean over views.
    """
    foreground = np.delete(np.arange(tags.shape[1]), background)

    def of_view(output, size):
        logits = pool(output.cam, size)
        return multilabel_soft_margin(logits[:, foreground], tags[:, foreground])

    terms = [of_view(o, s) for o, s in zip(outputs, sizes, strict=True)]
    return sum(terms) / len(terms)


def terms(
    outputs: list[CamOutput],
    tags: chex.Array,
    sizes: list[tuple[int, int]],
    background: int,
    teacher_background: int | None = None,
) -> dict[str, jax.Array]:
    """The terms of SEAM beyond classification, not yet weighted.

    Args:
        outputs: what the network says of the view and of its smaller copy.
        tags: [B, C] in {0, 1}, the background column 1.
        sizes: (H, W) of both; maps are compared at the second.
        background: index of the background channel.
        teacher_background: channel that the teacher keeps, see
            `equivariant_cross_regularization`.

    Returns:
        "min_pooling" (mean over views), "equivariance" and "cross_equivariance".
    """
    pools, cams, refined = [], [], []
    for output, size in zip(outputs, sizes, strict=True):
        upsampled = resize(output.refined, size, align_corners=True)
        pools.append(min_pooling(upsampled, tags, background=background))
        cams.append(tagged_max_norm(output.cam, tags, size, sizes[1]))
        refined.append(tagged_max_norm(output.refined, tags, size, sizes[1]))
    crossed = equivariant_cross_regularization(
        tuple(cams),
        tuple(refined),
        background=background,
        teacher_background=teacher_background,
    )
    return {
        "min_pooling": sum(pools) / 2,
        "equivariance": equivariant_regularization(*cams, background=background),
        "cross_equivariance": sum(crossed),
    }
