"""The variables of a frozen network: their shapes, and as the bytes of a file."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.frozen.settings import FrozenSettings
from ppcjax.nn import backbones
from ppcjax.nn.init import initialize
from ppcjax.nn.vit import VisionTransformer
from ppcjax.types import UserError

_SIDE = 448  # pixels, a multiple of all strides


def as_frozen(text: str) -> str:
    """What is said of a backbone's settings, of those in config.frozen."""
    return text.replace("config.method.", "config.frozen.")


@contextlib.contextmanager
def errors_of_frozen() -> Iterator[None]:
    """Raises each UserError as one that is said of config.frozen."""
    try:
        yield
    except UserError as error:
        raise UserError(as_frozen(str(error))) from error


def module_of(settings: FrozenSettings) -> tuple[Any, backbones.Backbone]:
    """The network's module and its entry; UserError for an output that it lacks."""
    with errors_of_frozen():
        module, entry = backbones.make(
            settings.backbone,
            settings.backbone_settings,
            pixel_mean=settings.pixel_mean,
            pixel_std=settings.pixel_std,
            dtype=jnp.dtype(settings.dtype),
        )
    if settings.endpoint not in module.endpoints:
        raise UserError(
            f"config.frozen.endpoint={settings.endpoint!r}: {settings.backbone} has "
            f"{', '.join(module.endpoints)}"
        )
    if settings.beside and not isinstance(module, VisionTransformer):
        raise UserError(
            f"config.frozen.beside={settings.beside}: {settings.backbone} is no vision "
            "transformer and attends to nothing; set it to (), or choose the variant "
            "affinity of ppc_dino"
        )
    return module, entry


def layout(settings: FrozenSettings) -> dict[str, Any]:
    """How the features of a network lie: fields of `nn.frozen.FrozenFeatures`.

    Raises:
        UserError: a setting is wrong.
    """
    module, _ = module_of(settings)
    shapes = jax.eval_shape(
        lambda key, image: module.init_with_output(key, image)[0],
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 3), jnp.float32),
    )
    _, rows, _, width = shapes[settings.endpoint].shape
    stride = _SIDE // rows
    if stride * rows != _SIDE:
        raise UserError(
            f"config.frozen.backbone_settings={dict(settings.backbone_settings or {})}:"
            f" {rows} cells of {_SIDE} pixels have no stride, so that this network "
            "cannot be frozen; leave ceil_pool out"
        )
    if settings.debias >= width:
        raise UserError(
            f"config.frozen.debias={settings.debias} leaves nothing of {width} "
            "channels; 10 to 20 suit most"
        )
    found = {"width": width, "stride": stride}
    if "class_attention" in settings.beside:
        found["class_attention"] = True
    if "attention" in settings.beside:
        found["attention"] = (module.heads, shapes["keys"].shape[-1])
    return found


def shapes(settings: FrozenSettings) -> Any:
    """Variables of a network as ShapeDtypeStructs."""
    module, _ = module_of(settings)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), image)


def random(settings: FrozenSettings, key: Any) -> dict[str, Any]:
    """Variables of a network before any file is loaded, NumPy arrays."""
    module, entry = module_of(settings)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return initialize(module, key, image, rules=entry.scratch)


def as_bytes(variables: Any) -> bytes:
    """All arrays as float32, one after the other in the order of their paths."""
    leaves = jax.tree.leaves(variables)  # mappings in the order of their keys
    return b"".join(np.ascontiguousarray(x, "<f4").tobytes() for x in leaves)


def size_of(settings: FrozenSettings) -> int:
    """Bytes that `as_bytes` makes of the variables of a network."""
    return 4 * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes(settings)))


def of_bytes(content: bytes, settings: FrozenSettings) -> Any:
    """What `as_bytes` wrote of a network, `size_of` bytes."""
    leaves, structure = jax.tree.flatten(shapes(settings))
    ends = np.cumsum([0] + [math.prod(leaf.shape) for leaf in leaves])
    flat = np.frombuffer(content, "<f4")
    arrays = [
        flat[start:end].reshape(leaf.shape)
        for leaf, start, end in zip(leaves, ends, ends[1:], strict=False)
    ]
    return jax.tree.unflatten(structure, arrays)
