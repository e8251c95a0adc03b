"""Contrast against a memory in blocks: dense NumPy, gradients, mining, bad input."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import pixel_contrast
from ppcjax.ops.mining import Mining, choose
from ppcjax.types import IGNORE

S, C, D = 70, 4, 6
SLOTS = (5, 8)
FILLED = (np.int32([5, 2, 0, 3]), np.int32([8, 0, 4, 1]))
T = 0.1


def _unit(rng, *shape):
    x = rng.standard_normal(shape)
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def _arrays(dtype=np.float32):
    """70 anchors, half of them of one class; two banks."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 0, 0, 1, 2, 3, IGNORE], S).astype(np.int32)
    banks = tuple(
        {"slots": _unit(rng, C, m, D).astype(dtype), "filled": f}
        for m, f in zip(SLOTS, FILLED, strict=True)
    )
    return _unit(rng, S, D), labels, banks


def _dense(anchors, labels, banks, with_anchors):
    """The same as one matrix, by the formula with a logarithm of a quotient."""
    columns = [jnp.asarray(b["slots"], jnp.float32).reshape(-1, D) for b in banks]
    owner = [np.repeat(np.arange(C), b["slots"].shape[1]) for b in banks]
    live = [
        (np.arange(b["slots"].shape[1]) < b["filled"][:, None]).ravel() for b in banks
    ]
    if with_anchors:
        columns, owner = [*columns, anchors], [*owner, labels]
        live.append(labels != IGNORE)
    owner, live = np.concatenate(owner), np.concatenate(live)
    same = labels[:, None] == owner[None, :]
    positive, negative = same & live[None, :], ~same & live[None, :]
    if with_anchors:
        positive[:, -S:] &= ~np.eye(S, dtype=bool)
    rows = np.flatnonzero((labels != IGNORE) & positive.any(1))
    s = jnp.matmul(anchors[rows], jnp.concatenate(columns).T, precision="highest") / T
    rest = jnp.sum(jnp.where(negative[rows], jnp.exp(s), 0.0), axis=1, keepdims=True)
    nats = -jnp.log(jnp.exp(s) / (jnp.exp(s) + rest))
    nats = jnp.sum(jnp.where(positive[rows], nats, 0.0), axis=1)
    return jnp.mean(nats / positive[rows].sum(1))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _blocked(anchors, labels, banks, with_anchors, block):
    def loss(anchors):
        return pixel_contrast.contrast(
            anchors,
            labels,
            banks=banks,
            with_anchors=with_anchors,
            temperature=T,
            base_temperature=T,
            block=block,
        )

    return jax.value_and_grad(loss)(anchors)


@pytest.mark.parametrize(("with_anchors", "block"), [(False, 7), (True, 1000)])
def test_blocks_equal_one_matrix(with_anchors, block):
    anchors, labels, banks = _arrays()
    unwritten = jax.tree.map(np.copy, banks)
    for bank in unwritten:
        size = bank["slots"].shape[1]
        bank["slots"][np.arange(size) >= bank["filled"][:, None]] = 7.0
    value, grad = _blocked(anchors, labels, unwritten, with_anchors, block)
    expected, expected_grad = jax.value_and_grad(_dense)(
        anchors, labels, banks, with_anchors
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(grad, expected_grad, atol=1e-6)
    assert np.abs(grad).max() > 1e-3


def test_bfloat16_slots():
    anchors, labels, banks = _arrays(jnp.bfloat16)
    value, grad = _blocked(anchors, labels, banks, False, 7)
    expected, expected_grad = jax.value_and_grad(_dense)(anchors, labels, banks, False)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(grad, expected_grad, atol=1e-6)


def test_order_of_rows_does_not_matter():
    anchors, labels, banks = _arrays()
    order = np.random.default_rng(1).permutation(S)
    value, grad = _blocked(anchors, labels, banks, True, 1000)
    other, other_grad = _blocked(anchors[order], labels[order], banks, True, 1000)
    np.testing.assert_allclose(other, value, rtol=1e-6)
    np.testing.assert_allclose(other_grad, grad[order], atol=1e-7)


@pytest.mark.parametrize(
    "case", ["no anchor", "no positive", "one class", "one anchor"]
)
def test_nothing_to_compare(case):
    anchors, labels, banks = _arrays()
    empty = tuple({**bank, "filled": np.zeros(C, np.int32)} for bank in banks)
    labels = {
        "no anchor": np.full(S, IGNORE, np.int32),
        "no positive": labels,
        "one class": np.zeros(S, np.int32),
        "one anchor": np.where(np.arange(S) == 0, 1, IGNORE).astype(np.int32),
    }[case]
    for with_anchors, block in ((False, 7), (True, 1000)):
        if case == "no positive" and with_anchors:
            continue
        value, grad = _blocked(anchors, labels, empty, with_anchors, block)
        assert value == 0 and not np.any(grad)


def test_similar_vectors_at_a_low_temperature_stay_finite():
    anchors = np.tile(np.eye(1, D, dtype=np.float32), (8, 1))
    labels = np.int32([0, 1] * 4)

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        return pixel_contrast.contrast(
            x, labels, with_anchors=True, temperature=0.001, base_temperature=0.001
        )

    value, grad = loss(anchors)
    np.testing.assert_allclose(value, np.log(5), rtol=1e-5)
    chex.assert_tree_all_finite(grad)


@pytest.mark.slow
def test_cut_is_the_share_asked_for():
    rng = np.random.default_rng(0)
    difficulty = (rng.random((5, 3000)) * 2 - 1).astype(np.float32)
    live = rng.random((5, 3000)) < np.float32([0, 0.001, 0.1, 0.5, 1])[:, None]
    difficulty = np.where(live, difficulty, -9)

    @functools.partial(jax.jit, static_argnums=0)
    def taken(mining, key):
        choice = choose(
            mining,
            mining.negatives,
            live.sum(1),
            lambda edges: (difficulty[:, None, :] >= edges[:, :, None]).sum(-1),
            key,
            columns=3000,
        )
        takes = choice.takes(jnp.asarray(difficulty), jnp.arange(3000)) & live
        return choice.cut, takes

    number = live.sum(1)
    for kind, wanted in (
        ("semi_hard", np.ceil(0.1 * number)),
        ("hardest", np.minimum(number, 40)),
        ("random", number),
    ):
        mining = Mining(kind, 0.1, 40, 40)
        cut, takes = taken(mining, jax.random.key(0))
        reach = (difficulty >= np.asarray(cut)[:, None]).sum(1)
        close = (np.abs(difficulty - np.asarray(cut)[:, None]) < 6e-4).sum(1)
        assert np.all(reach >= wanted) and np.all(reach - wanted <= close)
        draws = np.mean(
            [np.asarray(taken(mining, jax.random.key(i))[1]) for i in range(200)],
            axis=0,
        )
        expected = np.minimum(reach, 40) if kind != "hardest" else reach
        np.testing.assert_allclose(draws.sum(1), expected, atol=2)
        assert not draws[difficulty < np.asarray(cut)[:, None]].any()


def test_mined_contrast_is_that_of_the_hardest():
    """With every hardest slot taken, the loss is that of a memory of these alone."""
    rng = np.random.default_rng(5)
    anchors, labels = _unit(rng, 3, D), np.int32([0, 1, 1])
    slots = _unit(rng, 2, 40, D)
    bank = {"slots": slots, "filled": np.int32([40, 40])}

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def run(anchors):
        nats, count = pixel_contrast.row_nats(
            anchors,
            labels,
            banks=(bank,),
            with_anchors=False,
            temperature=T,
            mining=Mining("hardest", 1.0, 5, 7),
            key=jax.random.key(0),
            block=16,
        )
        return nats.sum(), (nats, count)

    grad, (nats, count) = run(anchors)
    for i, label in enumerate(labels):
        s = slots @ anchors[i] / T
        hardest = np.sort(s[1 - label])[-7:]
        far = np.sort(s[label])[:5]
        expected = np.logaddexp(0, np.log(np.exp(hardest).sum()) - far).mean()
        assert count[i] == 5
        np.testing.assert_allclose(nats[i], expected, rtol=1e-5)
    chex.assert_tree_all_finite(grad)
    assert np.any(grad)
