"""Pixel-to-prototype contrast.

Du et al. (PPC), CVPR 2022: eq. 2 is `pixel_to_prototype`; section 3.5 (semi-hard
prototypes) is `semi_hard_nats`. Similarities are float32 dot products of unit vectors.
"""

import chex
import jax
import jax.numpy as jnp
import optax

from ppcjax.ops.masks import masked_mean
from ppcjax.types import IGNORE

# Classes up to which ranks are counted, C^2 comparisons a pixel: four to five times as
# fast as a top-k with its gradient at 21 classes, on a CPU.
_COUNTED = 64


def pixel_to_prototype(
    pixels: chex.Array,
    labels: chex.Array,
    prototypes: chex.Array,
    *,
    temperature: float = 0.1,
) -> jax.Array:
    """Cross-entropy of each pixel against one prototype per class.

        loss = mean_i -log( exp(v_i . p_y / t) / sum_c exp(v_i . p_c / t) )

    Every prototype takes part, whether or not its class is in the batch.

    Args:
        pixels: [P, D] embeddings v of unit norm (or 0).
        labels: [P] class y of each pixel; IGNORE removes it.
        prototypes: [C, D] unit-norm centres p; constant for gradients.
        temperature: t > 0.

    Returns:
        [] nats per labelled pixel; 0 if none is labelled.

    Deviations: log-softmax instead of the log of a quotient of exponentials, which
        loses digits where the quotient is small.
    """
    chex.assert_rank([pixels, labels, prototypes], [2, 1, 2])
    chex.assert_equal_shape_prefix([pixels, labels], 1)
    logits = _similarity(pixels, prototypes) / temperature  # [P, C]
    valid = labels != IGNORE
    nats = optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.where(valid, labels, 0)
    )
    return masked_mean(nats, valid)


def semi_hard_nats(
    pixels: chex.Array,
    labels: chex.Array,
    prototypes: chex.Array,
    *,
    drop: int,
    keep: int,
    temperature: float = 0.1,
) -> tuple[jax.Array, jax.Array]:
    """Contrast of each pixel with its own and with semi-hard prototypes only.

        nll_i = -log( e^{s_iy / t} / (e^{s_iy / t} + sum_{c in N_i} e^{s_ic / t}) )

    N_i are the prototypes of rank drop+1..keep when all C are sorted by decreasing
    similarity to the pixel. As released, the positive is not taken out of the
    ranking: it may be in N_i too and then counts twice.

    Args:
        pixels: [P, D] embeddings of unit norm (or 0).
        labels: [P] class of each pixel; entries of IGNORE pixels are meaningless.
        prototypes: [C, D] unit-norm centres; constant for gradients.
        drop: number of the hardest prototypes left out.
        keep: last rank kept, drop <= keep <= C.
        temperature: t > 0.

    Returns:
        [P] nats, and [P] similarity s_iy to the own prototype.
    """
    chex.assert_rank([pixels, labels, prototypes], [2, 1, 2])
    similarity = _similarity(pixels, prototypes)  # [P, C]
    own = jnp.where(labels == IGNORE, 0, labels)[:, None]
    positive = jnp.take_along_axis(similarity, own, axis=1)[:, 0]
    kept = _ranked(jax.lax.stop_gradient(similarity), drop, keep)
    negatives = jax.nn.logsumexp(similarity / temperature, axis=1, where=kept)
    logit = positive / temperature
    return jnp.logaddexp(negatives, logit) - logit, positive


def _ranked(values: chex.Array, first: int, end: int) -> jax.Array:
    """Which entries of [P, C] have rank first..end-1 by decreasing value: [P, C] bool.

    Of equal ones the earlier counts as larger, as in `jax.lax.top_k`.
    """
    classes = values.shape[1]
    index = jnp.arange(classes)
    if classes <= _COUNTED:
        # By counting what is larger: nothing is sorted, and nothing scattered.
        one, other = values[:, :, None], values[:, None, :]
        earlier = (index[None, :] < index[:, None])[None]
        rank = jnp.sum((other > one) | ((other == one) & earlier), axis=2)
    else:
        # Sorted row by row, where `top_k` would first collect the rows of all devices.
        rank = jnp.argsort(jnp.argsort(-values, axis=1), axis=1)
    return (rank >= first) & (rank < end)


def _similarity(pixels: chex.Array, prototypes: chex.Array) -> jax.Array:
    return jnp.matmul(
        pixels.astype(jnp.float32),
        jax.lax.stop_gradient(prototypes).astype(jnp.float32).T,
        precision=jax.lax.Precision.HIGHEST,
    )
