"""A program of JAX as an ONNX file, by jax2onnx, with what it does not know rewritten.

jax2onnx gets JAX's primitives and never the layers, which it would patch. Four of them
have another form here, with the same numbers: see `_REWRITES`.
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax import checkout
from ppcjax.runs.messages import first_line
from ppcjax.types import UserError

BATCH = "b"  # name of the one size that may be anything
TOLERANCE = 1e-4


def need_libraries() -> None:
    """Says what to install where jax2onnx or ONNX Runtime is missing.

    Raises:
        UserError: one is.
    """
    checkout.require("--onnx", "jax2onnx", "onnxruntime")


def onnx_bytes(
    score: Callable[[Any], tuple[Any, Any]], size: tuple[int, int], *, what: str
) -> tuple[bytes, float]:
    """A function of images as ONNX, checked by ONNX Runtime on images of noise.

    What is compared is the network's own grid: scores of flat activation maps, which
    noise may give, are their rounding enlarged.

    Args:
        score: image [B, H, W, 3] uint8 -> scores [B, H, W, C] float32 and what they
            are made of, [B, h, w, C] float32.
        size: H and W, which the file is for.
        what: network, for messages.

    Returns:
        The file, from "image" to "scores" and "grid", for any number of images; and
        the largest difference of "grid" from JAX, as a share of its largest value.

    Raises:
        UserError: the network cannot be expressed, or the file says something else than
            the network.
    """
    import jax2onnx
    import onnxruntime

    batch = jax.export.symbolic_shape(BATCH)[0]
    image = jax.ShapeDtypeStruct((batch, *size, 3), np.uint8)
    closed = jax.make_jaxpr(score)(image)
    quiet, logging.root.manager.disable = logging.root.manager.disable, logging.WARNING
    try:
        content = jax2onnx.to_onnx(
            lambda image: tuple(_run(closed.jaxpr, closed.consts, image)),
            [image],
            return_mode="proto",
            input_names=["image"],
            output_names=["scores", "grid"],
        ).SerializeToString()
        session = onnxruntime.InferenceSession(
            content, providers=["CPUExecutionProvider"]
        )
        # More than one try: where two classes are as strong, rounding chooses.
        difference = min(_difference(session, score, size, seed) for seed in range(3))
    except Exception as error:  # each of three libraries raises its own kinds
        raise UserError(
            f"{what} cannot be written as ONNX: {first_line(error)[:200]}; export "
            "without --onnx"
        ) from error
    finally:
        logging.disable(quiet)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{what} as ONNX differs by a share of {difference:.1g} from the network "
            f"on images of noise, more than {TOLERANCE:g}; export without --onnx"
        )
    return content, difference


def _difference(session, score, size, seed):
    """Largest difference of "grid" from JAX, as a share of its largest value."""
    noise = np.random.default_rng(seed).integers(0, 256, (2, *size, 3), np.uint8)
    found = session.run(["scores", "grid"], {"image": noise})
    wanted = jax.tree.map(np.asarray, jax.jit(score)(noise))
    if any(a.shape != b.shape for a, b in zip(found, wanted, strict=True)):
        return np.inf
    largest = max(float(np.abs(wanted[1]).max()), np.finfo(np.float32).tiny)
    return float(np.abs(found[1] - wanted[1]).max()) / largest


def _run(jaxpr: Any, consts: Sequence[Any], *arguments: Any) -> list[Any]:
    """Evaluates a jaxpr, inner functions inlined and primitives rewritten."""
    values = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(variable):
        return variable.val if hasattr(variable, "val") else values[variable]

    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        name, params = equation.primitive.name, equation.params
        if name in _INLINED:
            inner = next(params[key] for key in _INNER if key in params)
            consts = getattr(inner, "consts", ())
            outputs = _run(getattr(inner, "jaxpr", inner), consts, *inputs)
        elif name in _REWRITES:
            outputs = [_REWRITES[name](*inputs, **params)]
        else:
            params = equation.primitive.get_bind_params(params)
            outputs = equation.primitive.bind(*inputs, **params)
            if not equation.primitive.multiple_results:
                outputs = [outputs]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


_INLINED = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat")
_INLINED = (*_INLINED, "remat2", "checkpoint")
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _pad(x, value, *, padding_config):
    """Edges that hold `value`, joined to `x`: Pad knows no batch of any size."""
    for axis, (low, high, inner) in enumerate(padding_config):
        if inner or low < 0 or high < 0:
            raise NotImplementedError("padding inside or below 0")
        parts = []
        for width in (low, high):
            edges = []
            while width > 0:
                count = min(width, x.shape[axis])
                edge = jax.lax.slice_in_dim(x, 0, count, axis=axis)
                edges.append(_clamp(value, edge, value))
                width -= count
            parts.append(edges)
        if parts[0] or parts[1]:
            x = jax.lax.concatenate([*parts[0], x, *parts[1]], axis)
    return x


def _largest_of_windows(x, *, window_dimensions, window_strides, padding, **dilations):
    """The maximum of shifted views: MaxPool knows no channels at the end."""
    wide = [n for name in dilations for n in dilations[name] if n != 1]
    if wide or any(n for pair in padding for n in pair):
        raise NotImplementedError("a pooling with padding or dilation")
    views = []
    for start in itertools.product(*map(range, window_dimensions)):
        # The batch has no number yet, and its windows have one row.
        stop = [
            n if window == 1 else first + n - window + 1
            for n, window, first in zip(x.shape, window_dimensions, start, strict=True)
        ]
        views.append(jax.lax.slice(x, start, stop, window_strides))
    found, *others = views
    for view in others:
        found = jnp.maximum(found, view)
    return found


def _clamp(low, x, high):
    return jnp.minimum(jnp.maximum(x, low), high)


def _select(which, *cases):
    """`select_n`; of truth values by "and" and "or", which Where does not know."""
    if cases[0].dtype != bool or len(cases) != 2:
        return jax.lax.select_n(which, *cases)
    return (which & cases[1]) | (~which & cases[0])


# Primitives that jax2onnx or ONNX Runtime does not know in this form.
_REWRITES: dict[str, Callable[..., Any]] = {
    "clamp": _clamp,
    "pad": _pad,
    "reduce_window_max": _largest_of_windows,
    "select_n": _select,
}
