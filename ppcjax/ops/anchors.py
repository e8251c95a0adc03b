"""Choosing the pixels that a contrast starts from, with static shapes.

Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV
2021, section 3.2 (segmentation-aware hard anchors), as released. A pair is an image and
a class that it shows; every pair that takes part gives as many anchors as any other.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ppcjax.types import IGNORE

RULES = ("hard_easy", "hard_random", "random")


class Anchors(NamedTuple):
    """At most S chosen cells; view by view, in each view pair by pair.

    cell: [S] int32 index into the B P cells.
    label: [S] int32 class; IGNORE in rows that hold no anchor.
    pairs: [] int32 number G of pairs that take part.
    views: [] int32 anchors of each pair.
    dropped: [] int32 pairs that are too small to take part.
    """

    cell: jax.Array
    label: jax.Array
    pairs: jax.Array
    views: jax.Array
    dropped: jax.Array


class Draws(NamedTuple):
    """Random numbers in [0, 1) that decide; the smallest come first.

    cells: [2, B, P]; the second ones serve the rule "hard_random" alone.
    pairs: [B, C]; they matter where there are more pairs than rows.
    """

    cells: chex.Array
    pairs: chex.Array


def draw(key: chex.PRNGKey, images: int, cells: int, num_classes: int) -> Draws:
    """The random numbers for `images` images of `cells` cells."""
    cell_key, pair_key = jax.random.split(key)
    return Draws(
        jax.random.uniform(cell_key, (2, images, cells)),
        jax.random.uniform(pair_key, (images, num_classes)),
    )


def select(
    labels: chex.Array,
    wrong: chex.Array,
    draws: Draws,
    *,
    max_anchors: int,
    max_views: int,
    rule: str = "hard_easy",
) -> Anchors:
    """Chooses anchors.

    A pair takes part if it has more than V cells. Of G pairs each gives

        n = min(V, floor(S / G))                         anchors, of which
        k = min(max(floor(n / 2), n - easy cells), hard cells)

    hard (mispredicted) and the rest easy (predicted well), uniformly without
    replacement: the closed form of "half of each, and if one kind is short, more of
    the other". To pool a class over the batch, as the paper does, reshape B images of P
    cells to one image of B P cells.

    Args:
        labels: [B, P] int32 class of each cell, or IGNORE.
        wrong: [B, P] bool cells that the segmenter mispredicts.
        draws: random numbers, see `Draws`.
        max_anchors: S, rows of the result.
        max_views: V >= 1.
        rule: "hard_easy"; "hard_random", the paper's: floor(n / 2) hard ones if there
            are as many, and the rest at random from all other cells of the pair; or
            "random".

    Returns:
        The anchors, hard ones in the first views; constants for gradients.

    Deviations: with more pairs than S rows the released program has nothing to divide;
        here a random S of the pairs give one anchor each.
    """
    chex.assert_rank(labels, 2)
    chex.assert_equal_shape([labels, wrong, draws.cells[0]])
    images, num_classes = draws.pairs.shape
    slot = jnp.where(labels == IGNORE, num_classes, labels)
    wrong = wrong & (labels != IGNORE)
    sizes = _count(slot, num_classes)  # [B, C]
    hard = _count(jnp.where(wrong, slot, num_classes), num_classes)  # [B, C]
    kept = sizes > max_views
    dropped = jnp.sum((sizes > 0) & ~kept)
    kept = _at_most(kept, draws.pairs, max_anchors)
    pairs = jnp.sum(kept)
    views = jnp.minimum(max_views, max_anchors // jnp.maximum(pairs, 1))
    order, first, gap = _order(slot, wrong, draws.cells, sizes, hard, views, rule)

    row = jnp.arange(max_anchors)
    in_view = jnp.maximum(pairs, 1)
    view = row // in_view
    (pair,) = jnp.nonzero(
        kept.ravel(), size=min(images * num_classes, max_anchors), fill_value=0
    )
    image, label = jnp.divmod(pair[row % in_view], num_classes)
    start = (jnp.cumsum(sizes, axis=1) - sizes)[image, label]
    place = start + view + jnp.where(view < first[image, label], 0, gap[image, label])
    taken = row < pairs * views
    cell = image * labels.shape[1] + order[image, jnp.where(taken, place, 0)]
    return Anchors(
        cell=jnp.where(taken, cell, 0).astype(jnp.int32),
        label=jnp.where(taken, label, IGNORE).astype(jnp.int32),
        pairs=pairs.astype(jnp.int32),
        views=views.astype(jnp.int32),
        dropped=dropped.astype(jnp.int32),
    )


def sort_by_class(slot: chex.Array, by: chex.Array) -> jax.Array:
    """Cells of each image in order of class, then of `by`: [B, P] each."""
    return jax.vmap(lambda slot, by: jnp.lexsort((by, slot)))(slot, by)


def _order(slot, wrong, draws, sizes, hard, views, rule):
    """Cells sorted by class; where in a class the anchors lie.

    Returns:
        [B, P] cells of each image; [B, C] how many anchors lie at the start of their
        class; [B, C] how many cells are skipped after these.
    """
    nothing = jnp.zeros_like(sizes)
    if rule == "random":
        return sort_by_class(slot, draws[0]), nothing, nothing
    order = sort_by_class(_with_last(slot, ~wrong), draws[0])
    half = views // 2
    if rule == "hard_easy":
        first = jnp.minimum(jnp.maximum(half, views - (sizes - hard)), hard)
        return order, first, hard - first
    # The chosen hard cells first, then all others of the class, hard or not.
    place = jax.vmap(lambda o: jnp.zeros_like(o).at[o].set(jnp.arange(o.size)))(order)
    start = jnp.cumsum(sizes, axis=1) - sizes
    padded = jnp.pad(start, ((0, 0), (0, 1)))
    rank = place - jnp.take_along_axis(padded, slot, axis=1)
    chosen = wrong & (rank < half)
    return sort_by_class(_with_last(slot, ~chosen), draws[1]), nothing, nothing


def _with_last(slot: jax.Array, late: jax.Array) -> jax.Array:
    """Numbers that sort as class, then `late`: one key less for the sort."""
    return 2 * slot + late


def _at_most(kept: jax.Array, draws: jax.Array, most: int) -> jax.Array:
    """`kept` [B, C] with a random `most` of its true entries, if there are more."""
    if kept.size <= most:
        return kept
    order = jnp.argsort(jnp.where(kept, draws, 2.0).ravel())
    best = jnp.zeros(kept.size, bool).at[order[:most]].set(True)
    return kept & best.reshape(kept.shape)


def _count(slot: jax.Array, num_classes: int) -> jax.Array:
    """How many cells of each image have each class: [B, C] int32."""
    classes = jnp.arange(num_classes)[None, None]
    return jnp.sum(slot[..., None] == classes, axis=1, dtype=jnp.int32)
