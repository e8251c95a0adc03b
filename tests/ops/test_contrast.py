"""Contrast against NumPy, under IGNORE, and under permutations of classes."""

import chex
import jax
import numpy as np
import pytest

from ppcjax.ops import contrast
from ppcjax.types import IGNORE

P, C, D = 12, 7, 4


def _unit(rng, *shape):
    x = rng.standard_normal(shape)
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return _unit(rng, P, D), rng.integers(0, C, P).astype(np.int32), _unit(rng, C, D)


def _nats(pixels, labels, centres, temperature=0.1):
    logits = pixels.astype(np.float64) @ centres.T.astype(np.float64) / temperature
    total = np.log(np.exp(logits).sum(axis=1))
    return total - logits[np.arange(len(labels)), labels]


def test_equals_numpy(arrays):
    for temperature in (0.1, 0.7):
        value = contrast.pixel_to_prototype(*arrays, temperature=temperature)
        expected = _nats(*arrays, temperature).mean()
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_ignored_pixels_are_as_if_absent(arrays):
    pixels, labels, centres = arrays
    some = labels.copy()
    some[::3] = IGNORE
    kept = some != IGNORE
    grad_of = jax.jit(jax.value_and_grad(contrast.pixel_to_prototype))
    value, grad = grad_of(pixels, some, centres)
    alone, alone_grad = grad_of(pixels[kept], labels[kept], centres)
    np.testing.assert_allclose(value, alone, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(grad)[kept], alone_grad, atol=1e-6)
    assert not np.any(np.asarray(grad)[~kept])


def test_no_labelled_pixel_gives_zero(arrays):
    pixels, labels, centres = arrays
    value, grad = jax.value_and_grad(contrast.pixel_to_prototype)(
        pixels, np.full_like(labels, IGNORE), centres
    )
    assert value == 0 and not np.any(grad)


def test_names_of_classes_do_not_matter(arrays):
    pixels, labels, centres = arrays
    order = np.random.default_rng(1).permutation(C)
    renamed = np.argsort(order)[labels].astype(np.int32)
    value = contrast.pixel_to_prototype(pixels, labels, centres)
    permuted = contrast.pixel_to_prototype(pixels, renamed, centres[order])
    np.testing.assert_allclose(permuted, value, rtol=1e-6)
    nats, own = contrast.semi_hard_nats(pixels, labels, centres, drop=1, keep=4)
    other = contrast.semi_hard_nats(pixels, renamed, centres[order], drop=1, keep=4)
    chex.assert_trees_all_close((nats, own), other, rtol=1e-5)


def test_a_silent_pixel_costs_the_log_of_the_class_count(arrays):
    _, labels, centres = arrays
    pixels = np.zeros((P, D), np.float32)
    value = contrast.pixel_to_prototype(pixels, labels, centres)
    np.testing.assert_allclose(value, np.log(C), rtol=1e-6)
    nats, _ = contrast.semi_hard_nats(pixels, labels, centres, drop=1, keep=4)
    np.testing.assert_allclose(nats, np.log(1 + 3), rtol=1e-6)


def test_semi_hard_equals_numpy(arrays):
    """The positive is not taken out of the ranking: it may count twice."""
    pixels, labels, centres = arrays
    nats, own = contrast.semi_hard_nats(pixels, labels, centres, drop=2, keep=5)
    similarity = pixels @ centres.T
    for i in range(P):
        positive = np.exp(similarity[i, labels[i]] / 0.1)
        kept = np.sort(similarity[i])[::-1][2:5]
        expected = -np.log(positive / (positive + np.exp(kept / 0.1).sum()))
        np.testing.assert_allclose(nats[i], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(own[i], similarity[i, labels[i]], atol=1e-6)


def test_counted_and_sorted_ranks_agree_also_on_ties(arrays, monkeypatch):
    pixels, labels, centres = arrays
    centres = centres[[0, 1, 1, 2, 0, *range(5, C)]]  # two pairs of equal ones

    def compute():
        def loss(pixels):
            settings = dict(drop=2, keep=4)
            return contrast.semi_hard_nats(pixels, labels, centres, **settings)[0].sum()

        return jax.value_and_grad(loss)(pixels)

    counted = compute()
    monkeypatch.setattr(contrast, "_COUNTED", 0)
    chex.assert_trees_all_close(counted, compute(), rtol=1e-5, atol=1e-6)


def test_dropping_nothing_and_keeping_all_counts_the_positive_twice(arrays):
    pixels, labels, centres = arrays
    nats, own = contrast.semi_hard_nats(pixels, labels, centres, drop=0, keep=C)
    logits = np.float64(pixels) @ centres.T / 0.1
    positive = np.asarray(own, np.float64) / 0.1
    total = np.exp(logits).sum(axis=1) + np.exp(positive)
    np.testing.assert_allclose(nats, np.log(total) - positive, rtol=1e-5, atol=1e-5)


def test_gradients(arrays):
    pixels, labels, centres = arrays

    def plain(pixels):
        return contrast.pixel_to_prototype(pixels, labels, centres, temperature=0.5)

    def semi_hard(pixels):
        settings = dict(drop=1, keep=4, temperature=0.5)
        return contrast.semi_hard_nats(pixels, labels, centres, **settings)[0].sum()

    for loss in (plain, semi_hard):
        chex.assert_numerical_grads(loss, (pixels,), order=1, rtol=2e-2, atol=2e-2)


def test_prototypes_are_constants(arrays):
    pixels, labels, centres = arrays
    grad = jax.grad(contrast.pixel_to_prototype, argnums=2)(pixels, labels, centres)
    assert not np.any(grad)
