"""The function that is exported: photos in, class scores of every pixel out."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.nn.layers import inside
from ppcjax.ops.resize import resize
from ppcjax.predict import merge, tta
from ppcjax.types import Method

WORDS = {
    "maps": "activation maps scaled to their own largest value, of the classes that "
    "the network finds in the image",
    "logits": "p_c / (p_0 + max p) of class probabilities p; above 0.5 is the arg-max",
}


def scorer(
    method: Method, params: Any, model_state: Any, *, convention: str = "ppc"
) -> Callable[..., dict[str, Any]]:
    """Scores as `ppcjax.predict.tta` computes them at scale 1, without mirrors.

    Args:
        method: gives "maps" or "logits".
        params: parameters of the method; they become part of the function.
        model_state: state of the method, likewise.
        convention: "ppc" or "eps": how activation maps are resized and normalised.

    Returns:
        (image [B, H, W, 3] uint8 RGB, size [B, 2] int32 or None) -> {"scores":
        [B, H, W, C] float32, "network": what `method.predict` gives}. An image lies
        in the top left corner of its array and has the rows and columns of `size`;
        scores beyond are 0. None: images fill their arrays, whose shape is fixed.
    """
    stride, _ = tta.grid_of(method, params, model_state)
    finish = partial(
        {"maps": _of_maps, "logits": _of_logits}[method.gives], method.aligned
    )

    def score(image: Any, size: Any = None) -> dict[str, Any]:
        batch, cells = {"image": image}, None
        if size is not None:
            batch["valid"] = jnp.concatenate([jnp.zeros_like(size), size], axis=1)
        found = method.predict(params, model_state, batch)
        if size is not None:
            cells = found.get("extent", -(-size // stride))
        scores = finish(found, image.shape[1:3], size, cells, convention)
        return {"scores": scores, "network": found}

    return score


def _of_maps(corners, found: Mapping[str, Any], shape, size, cells, convention):
    """As `tta._activation_maps`, where the size of the image is its own."""
    aligned = convention == "ppc"
    total = resize(
        found["scores"],
        shape,
        align_corners=aligned and corners,
        in_extent=cells,
        out_extent=size,
    )
    batch = total.shape[0]
    if size is None:
        size = jnp.full((1, 2), jnp.asarray(shape, jnp.int32)[None])
    known = jnp.zeros(batch, bool)
    none = jnp.zeros((batch, total.shape[-1]), jnp.float32)
    scores, _ = merge.finish_maps(
        total, found["tag_logits"], none, known, size, from_least=aligned
    )
    return scores


def _of_logits(corners, found: Mapping[str, Any], shape, size, cells, convention):
    """As `tta._class_probabilities` and `against_background`."""
    del convention
    total = resize(
        found["logits"], shape, align_corners=corners, in_extent=cells, out_extent=size
    )
    p = jax.nn.softmax(total, axis=-1)
    rest = p[..., :1] + jnp.max(p[..., 1:], axis=-1, keepdims=True)
    shown = jnp.arange(p.shape[-1])[None, None, None] > 0
    if size is not None:
        shown = shown & inside(p, size)
    return jnp.where(shown, p / rest, 0.0)
