"""The contrasts of PPC between the pixels of views and class prototypes.

Du et al., "Weakly Supervised Semantic Segmentation by Pixel-to-Prototype Contrast",
CVPR 2022. With P the projection and R the refined maps of a view:

    pseudo labels, eq. 1        `contrast_view`
    prototypes, eq. 3           `ppcjax.ops.prototypes.estimate`
    L_cp, L_cc, section 3.4     `cross_view`
    L_intra, section 3.5        `intra_view`
"""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.fields import Ordered, Range
from ppcjax.methods.common import Steps, Temperature, Weight
from ppcjax.nn.cam_net import CamOutput
from ppcjax.nn.modules import Share
from ppcjax.ops import cam as cam_ops
from ppcjax.ops import contrast, prototypes, sampling
from ppcjax.ops.masks import l2_normalize
from ppcjax.ops.resize import resize


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The contrasts of PPC; a weight of 0 leaves one out.

    cross_prototype: weight w_cp.
    cross_cam: weight w_cc.
    intra: weight w_intra.
    contrast_start: step from which the contrasts count. 0 as released; a network
        trained from scratch has nothing to contrast before its maps mean something.
    temperature: t of the contrasts.
    pseudo_threshold: background score in pseudo labels.
    prototype_share: K of a prototype, a share of one image's grid cells.
    prototype_photos: photos of the batch whose pixels may be those of a class's
        prototype: all as released, or those tagged with it. Maps of a class reach 1 in
        any photo, so that most confident pixels of all are mostly of other classes.
    mining_shares: hardest share of prototypes dropped, and share up to which they are
        kept.
    """

    cross_prototype: Weight = 0.1
    cross_cam: Weight = 0.1
    intra: Weight = 0.1
    contrast_start: Steps = 0
    temperature: Temperature = 0.1
    pseudo_threshold: Share = 0.2
    prototype_share: Annotated[float, Range(above=0, most=1)] = 0.125
    prototype_photos: Literal["all", "tagged"] = "all"
    mining_shares: Annotated[tuple[Share, Share], Ordered()] = (0.1, 0.6)

    def by_term(self) -> dict[str, float]:
        """The weights by the names of `contrasts`."""
        return {
            "cross_prototype": self.cross_prototype,
            "cross_cam": self.cross_cam,
            "intra": self.intra,
        }


class ContrastView(NamedTuple):
    """A view as the contrasts see it; pixels of the batch in order (n, y, x).

    pixels: [P, D] embeddings of unit norm, with gradient.
    features: [P, D] the same before normalisation.
    scores: [P, C] confidences S, constant, that prototypes are made by.
    labels: [P] int32 pseudo labels, constant.
    """

    pixels: jax.Array
    features: jax.Array
    scores: jax.Array
    labels: jax.Array


class Mining(NamedTuple):
    """Semi-hard prototypes: ranks drop+1..keep of all C by similarity to a pixel."""

    drop: int
    keep: int

    @classmethod
    def of(cls, num_classes: int, drop_share: float, keep_share: float) -> "Mining":
        """Ranks as shares of the class count: 0.1 and 0.6 of 21 give 3 and 13."""
        drop = math.ceil(drop_share * num_classes)
        keep = max(math.ceil(keep_share * num_classes), drop + 1)
        return cls(min(drop, num_classes - 1), min(keep, num_classes))


def contrast_view(
    output: CamOutput,
    tags: chex.Array,
    grid: tuple[int, int],
    *,
    background: int = 0,
    threshold: float = 0.2,
    tagged: bool = False,
) -> ContrastView:
    """Pixels, confidences and pseudo labels of a view.

        y_i = argmax_c S_ic tag_c,  S = `ppcjax.ops.cam.confidence` of R

    Args:
        output: what the network says of the view.
        tags: [B, C] in {0, 1}, the background column 1.
        grid: (h, w) on which views are compared.
        background: index of the background channel.
        threshold: score of the background.
        tagged: whether scores are 0 for classes that a photo is not tagged with.

    Returns:
        The view, P = B h w.
    """
    features = resize(output.projection, grid, align_corners=True)
    refined = resize(output.refined, grid, align_corners=True)
    scores = cam_ops.confidence(refined, background=background, threshold=threshold)
    of_tags = scores * tags[:, None, None, :]
    labels = jnp.argmax(of_tags, axis=-1)
    scores = of_tags if tagged else scores
    features = features.reshape(-1, features.shape[-1])
    return ContrastView(
        pixels=l2_normalize(features),
        features=features,
        scores=scores.reshape(-1, scores.shape[-1]),
        labels=labels.reshape(-1),
    )


def prototype_pixels(grid: tuple[int, int], share: float) -> int:
    """Pixels that a prototype is made of.

    Args:
        grid: (h, w) on which views are compared.
        share: K, a share of one image's grid cells.
    """
    return max(1, int(grid[0] * grid[1] * share))


def view_prototypes(view: ContrastView, count: int) -> tuple[jax.Array, jax.Array]:
    """Prototypes of a view, and what they are made of.

    Args:
        view: the view, of a whole batch.
        count: pixels of a prototype.

    Returns:
        [C, D] of unit norm, constant; [P, C] bool, the pixels of each.
    """
    top = prototypes.most_confident(view.scores, count)
    return prototypes.estimate(view.features, view.scores, top), top


def cross_view(
    one: ContrastView,
    two: ContrastView,
    centres: tuple[chex.Array, chex.Array],
    *,
    temperature: float = 0.1,
) -> dict[str, jax.Array]:
    """The two cross-view contrasts, not yet weighted.

        L_cp = ( nce(v1, y1, p2) + nce(v2, y2, p1) ) / 2    own label, other prototypes
        L_cc = ( nce(v1, y2, p1) + nce(v2, y1, p2) ) / 2    other label, own prototypes

    Args:
        one: the first view.
        two: the second view, pixel for pixel the same places.
        centres: [C, D] prototypes p1 of the first view and p2 of the second.
        temperature: t > 0.

    Returns:
        "cross_prototype" and "cross_cam", [] nats.
    """

    def nce(view, labels, prototype):
        return contrast.pixel_to_prototype(
            view.pixels, labels, prototype, temperature=temperature
        )

    first, second = centres
    own = nce(one, one.labels, second) + nce(two, two.labels, first)
    other = nce(one, two.labels, first) + nce(two, one.labels, second)
    return {"cross_prototype": own / 2, "cross_cam": other / 2}


def intra_view(
    view: ContrastView,
    centres: chex.Array,
    random_pixels: chex.Array,
    *,
    mining: Mining,
    temperature: float = 0.1,
) -> jax.Array:
    """Contrast within a view against semi-hard prototypes, over mined pixels.

    Per class, half of its pixels at random and half that are hard (a pixel in both
    counts twice); the mean over a class, then over classes.

    Args:
        view: the view.
        centres: [C, D] its own prototypes.
        random_pixels: [P] bool, the random half of each class.
        mining: ranks of the prototypes that serve as negatives.
        temperature: t > 0.

    Returns:
        [] nats, not yet weighted.
    """
    nats, similarity = contrast.semi_hard_nats(
        view.pixels,
        view.labels,
        centres,
        drop=mining.drop,
        keep=mining.keep,
        temperature=temperature,
    )
    num_classes = centres.shape[0]
    hard_pixels = sampling.hard_half(view.labels, similarity, num_classes)
    weights = random_pixels.astype(jnp.float32) + hard_pixels
    return sampling.mean_over_classes(nats, view.labels, weights, num_classes)


def contrasts(
    outputs: list[CamOutput],
    tags: chex.Array,
    key: chex.PRNGKey,
    *,
    mining: Mining,
    prototype_share: float,
    tagged: bool = False,
    background: int = 0,
    threshold: float = 0.2,
    temperature: float = 0.1,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """All contrasts of two views, compared on the grid of the second.

    Args:
        outputs: what the network says of the two views.
        tags: [B, C] in {0, 1}, the background column 1.
        key: PRNG key of the random half of the pixels.
        mining: ranks of the prototypes that serve as negatives.
        prototype_share: pixels of a prototype, as a share of one image's grid.
        tagged: whether prototypes are of photos tagged with their class alone.
        background: index of the background channel.
        threshold: score of the background in pseudo labels.
        temperature: t > 0.

    Returns:
        "cross_prototype", "cross_cam" and "intra" (mean over views), [] nats each;
        and the share of the first view's pixels labelled as foreground.
    """
    grid = outputs[1].refined.shape[1:3]
    count = prototype_pixels(grid, prototype_share)
    how = {"background": background, "threshold": threshold, "tagged": tagged}
    views = [contrast_view(output, tags, grid, **how) for output in outputs]
    # Both at once: each choice takes several rounds of counting over all devices.
    both = jax.tree.map(lambda *arrays: jnp.stack(arrays), *views)
    centres, inner = jax.vmap(
        functools.partial(
            _centres_and_intra, count=count, mining=mining, temperature=temperature
        )
    )(both, jax.random.split(key))
    terms = cross_view(*views, tuple(centres), temperature=temperature)
    foreground = jnp.mean(views[0].labels != background)
    return terms | {"intra": jnp.mean(inner)}, foreground


def _centres_and_intra(view, key, *, count, mining, temperature):
    """Prototypes of a view, of so many pixels each, and its own contrast."""
    centres, _ = view_prototypes(view, count)
    chosen = sampling.random_half(view.labels, key, view.scores.shape[1])
    nats = intra_view(view, centres, chosen, mining=mining, temperature=temperature)
    return centres, nats
