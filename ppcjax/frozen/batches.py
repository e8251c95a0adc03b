"""Batches in which features stand for photos, and methods that read them.

A field "image", "support_image" or "query_image" [..., H, W, 3] uint8 becomes
[..., h, w, D] float16. All else of the batch stays in pixels, so that a method on the
backbone "frozen" works with features as with any network of that stride.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image

from ppcjax.frozen.network import Frozen
from ppcjax.types import Method

_KINDS = ("", "support_", "query_")


def attached(method: Method, frozen: Frozen) -> Method:
    """A method on the backbone "frozen" with the network that looks at its photos.

    Its functions take batches of photos as well as those that `Method.look` returns,
    which looks photos up before it computes their features.
    """

    def seeing(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if function is None:
            return None

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            return function(*(_seen(frozen, argument) for argument in arguments))

        return call

    names = ("loss", "predict", "fit", "segment")
    found = {name: seeing(getattr(method, name)) for name in names}
    look = functools.partial(_look, frozen, method.second_view)
    return method._replace(look=look, **found)


def _seen(frozen: Frozen, value: Any) -> Any:
    """A batch with the features of its photos, as part of the program that reads it."""
    if not isinstance(value, Mapping):
        return value
    kinds = [kind for kind in _KINDS if _holds_photos(value, kind)]
    found = {}
    for kind in kinds:
        image, valid = value[f"{kind}image"], value.get(f"{kind}valid")
        flat = jnp.reshape(image, (-1, *image.shape[-3:]))
        rows = None if valid is None else jnp.reshape(valid, (-1, 4))
        features = frozen.features(flat, rows)
        shape = (*image.shape[:-3], *features.shape[1:])
        found[f"{kind}image"] = jnp.reshape(features, shape)
    return {**value, **found} if found else value


def _holds_photos(batch: Mapping[str, Any], kind: str) -> bool:
    image = batch.get(f"{kind}image")
    return image is not None and image.shape[-1] == 3


def _look(
    frozen: Frozen, second: int, batch: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The batch with features for photos, on the host.

    Args:
        frozen: network that looks.
        second: side of the canvas of a smaller view, in pixels; 0 for none. It is
            looked at by itself, and becomes "second_image".
        batch: photos in rectangles "valid" of their canvases, which may lie anywhere.
            They are moved to the top left corners, with all that lies on the canvas.
    """
    found = dict(batch)
    for kind in _KINDS:
        if _holds_photos(batch, kind):
            found |= _looked_at(frozen, second, kind, found)
    return found


def _looked_at(frozen, second, kind, batch) -> dict[str, np.ndarray]:
    image = np.asarray(batch[f"{kind}image"])
    valid = np.asarray(batch[f"{kind}valid"])
    lead, canvas = image.shape[:-3], image.shape[-3:-1]
    moved = {
        name: _moved(np.asarray(value), valid, len(lead))
        for name, value in batch.items()
        if name.startswith(kind)
        and np.shape(value)[: len(lead) + 2] == (*lead, *canvas)
        and valid[..., :2].any()
    }
    pixels = moved.get(f"{kind}image", image).reshape(-1, *canvas, 3)
    sizes = (valid[..., 2:] - valid[..., :2]).reshape(-1, 2).astype(np.int32)

    def arranged(features):
        return features.reshape(*lead, *features.shape[1:])

    corner = np.zeros_like(valid[..., :2])
    placed = np.concatenate([corner, sizes.reshape(*lead, 2)], axis=-1)
    found = {**moved, f"{kind}valid": placed.astype(valid.dtype)}
    found[f"{kind}image"] = arranged(frozen.of_photos(pixels, sizes))
    if second and kind == "":
        small = [
            _shrunk(*pair, canvas, second) for pair in zip(pixels, sizes, strict=True)
        ]
        images, shrunk = (np.stack(values) for values in zip(*small, strict=True))
        found["second_image"] = arranged(frozen.of_photos(images, shrunk))
    return found


def _moved(values: np.ndarray, valid: np.ndarray, lead: int) -> np.ndarray:
    """Canvases [*, H, W, ...] whose rectangles begin at their top left corners."""
    flat = values.reshape(-1, *values.shape[lead:])
    corners = valid.reshape(-1, 4)[:, :2]
    rolled = [np.roll(v, -c, (0, 1)) for v, c in zip(flat, corners, strict=True)]
    return np.stack(rolled).reshape(values.shape)


def _shrunk(image, size, canvas, side) -> tuple[np.ndarray, np.ndarray]:
    """A photo [H, W, 3] on a canvas that is shrunk to `side`, and its size there."""
    rows, columns = (
        max(round(int(n) * side / c), 1) for n, c in zip(size, canvas, strict=True)
    )
    photo = Image.fromarray(image[: size[0], : size[1]])
    out = np.zeros((side, side, 3), np.uint8)
    out[:rows, :columns] = photo.resize((columns, rows), Image.Resampling.BICUBIC)
    return out, np.array([rows, columns], np.int32)
