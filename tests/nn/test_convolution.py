"""Every form of a convolution's gradients against XLA's own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn import convolution, winograd
from ppcjax.nn.convolution import Window

NHWC = ("NHWC", "HWIO", "NHWC")
FORMS = ("compiler", "by_taps", "by_tiles")


def _random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _windows():
    """Each side, stride and dilation; padded to keep the size, and with none."""
    for side, stride, dilation in itertools.product((3, 5), (1, 2), (1, 3)):
        low = dilation * (side // 2)
        yield Window(side, stride, dilation, (low, low))
    yield Window(3, 2, 1, (0, 2))
    yield Window(3, 1, 1, (0, 0))


# Every form of every window that it covers.
CASES = [
    (window, form)
    for window in _windows()
    for form in FORMS
    if form != "by_tiles" or convolution.has_tiles(window)
]


def _choose(form, monkeypatch):
    monkeypatch.setattr(convolution, "kernel_form", lambda *_: form)
    of_input = "compiler" if form == "by_taps" else form
    monkeypatch.setattr(convolution, "map_form", lambda *_: of_input)


def _value_and_grads(function, x, kernel):
    y, backward = jax.vjp(jax.jit(function), x, kernel)
    dy = jnp.asarray(_random(*y.shape, seed=2), y.dtype)
    return y, *backward(dy)


def _lax(window):
    def apply(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (window.stride,) * 2,
            (window.padding,) * 2,
            rhs_dilation=(window.dilation,) * 2,
            dimension_numbers=NHWC,
        )

    return apply


@pytest.mark.parametrize(("window", "form"), CASES, ids=str)
@pytest.mark.parametrize("size", [(8, 12), (11, 7)])
def test_all_forms_equal_the_compilers(form, window, size, monkeypatch):
    _choose(form, monkeypatch)
    x, kernel = _random(2, *size, 3), _random(window.side, window.side, 3, 4, seed=1)
    found = _value_and_grads(lambda x, k: convolution.convolve(x, k, window), x, kernel)
    expected = _value_and_grads(_lax(window), x, kernel)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max())


@pytest.mark.parametrize("form", FORMS)
def test_gradients_keep_the_type_of_the_network(form, monkeypatch):
    _choose(form, monkeypatch)
    x, kernel = (
        jnp.asarray(_random(*s), jnp.bfloat16) for s in ((1, 6, 6, 2), (3, 3, 2, 4))
    )
    window = Window(3, 1, 1, (1, 1))
    found = _value_and_grads(lambda x, k: convolution.convolve(x, k, window), x, kernel)
    expected = _value_and_grads(
        _lax(window), x.astype(jnp.float32), kernel.astype(jnp.float32)
    )
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_allclose(
            a.astype(jnp.float32), b, atol=0.05 * np.abs(b).max()
        )


def test_products_equal_convolutions():
    x, kernel = _random(2, 5, 4, 3), _random(1, 1, 3, 6, seed=1)
    found = _value_and_grads(lambda x, k: convolution.product(x, k[0, 0]), x, kernel)
    expected = _value_and_grads(_lax(Window(1, 1, 1, (0, 0))), x, kernel)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_the_paper_reads_forwards_as_a_convolution():
    """Y = A^T [(G g G^T) * (B^T d B)] A of one tile."""
    d, g = _random(6, 6).astype(np.float64), _random(3, 3, seed=1).astype(np.float64)
    found = (
        winograd.A.T
        @ ((winograd.G @ g @ winograd.G.T) * (winograd.B.T @ d @ winograd.B))
        @ winograd.A
    )
    expected = [
        [np.sum(d[i : i + 3, j : j + 3] * g) for j in range(4)] for i in range(4)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _layer(side, channels, out, *, batch=2, stride=1, dilation=1, kernel=3):
    grid, low = -(-side // stride), dilation * (kernel // 2)
    shapes = (batch, side, side, channels), (batch, grid, grid, out)
    return *shapes, Window(kernel, stride, dilation, (low, low))


# Layers of the networks here; the forms for the gradients of kernel and input that two
# measurements found fastest, or a close second.
CHOSEN = {
    "WideResNet-38 b3": (_layer(56, 256, 256), "by_tiles", "by_tiles"),
    "WideResNet-38 b7": (_layer(28, 1024, 2048, dilation=4), "by_tiles", "by_tiles"),
    "ResNet-50 layer1": (_layer(56, 64, 64, batch=16), "by_tiles", "compiler"),
    "ResNet-50 layer3": (_layer(14, 256, 256, batch=16), "by_tiles", "by_tiles"),
    "HRNet, 96 channels": (_layer(48, 96, 96), "by_tiles", "compiler"),
    "HRNet, 48 channels": (_layer(90, 48, 48, batch=1), "by_tiles", "compiler"),
    "VGG conv1_1": (_layer(224, 3, 64), "compiler", "compiler"),
    "stem": (_layer(224, 3, 64, batch=16, stride=2, kernel=7), "compiler", "compiler"),
    "wide ASPP": (_layer(28, 2048, 256, dilation=6), "compiler", "compiler"),
    "a test's": (_layer(16, 16, 16), "compiler", "compiler"),
}


@pytest.mark.parametrize(("layer", "kernel", "of_input"), CHOSEN.values(), ids=CHOSEN)
def test_the_form_follows_the_shape(layer, kernel, of_input):
    assert convolution.kernel_form(*layer) == kernel
    assert convolution.map_form(*layer) == of_input


def test_only_cpus_leave_the_compilers_form():
    """Lowered for a GPU there is one convolution for each gradient, and no product."""
    window = Window(3, 1, 1, (1, 1))
    x, kernel = (
        jax.ShapeDtypeStruct(s, jnp.float32)
        for s in ((2, 56, 56, 256), (3, 3, 256, 256))
    )

    def gradients(x, kernel):
        def total(x, kernel):
            return jnp.sum(convolution.convolve(x, kernel, window) ** 2)

        return jax.grad(total, argnums=(0, 1))(x, kernel)

    def lowered(platform):
        traced = jax.jit(gradients).trace(x, kernel)
        return traced.lower(lowering_platforms=(platform,)).as_text()

    assert "dot_general" in lowered("cpu")
    for platform in ("cuda", "tpu"):
        text = lowered(platform)
        assert "dot_general" not in text
        assert text.count("stablehlo.convolution") == 3
