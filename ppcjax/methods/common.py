"""What methods share: kinds of settings, the backbone, first variables, a pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import OneOf, Range, kinds
from ppcjax.nn import backbones, frozen
from ppcjax.nn.init import initialize
from ppcjax.nn.modules import Share
from ppcjax.ops import colour
from ppcjax.ops.masks import masked_mean
from ppcjax.types import IGNORE, DenseBatch, UserError

Positive = kinds.Gain
Weight = kinds.Weight
Temperature = kinds.Temperature
Steps = Annotated[kinds.Total, "steps"]
# Deviations of RGB in [0, 1]; 1/255 of weights that see 0 to 255.
Deviation = Annotated[float, Range(1e-3, 10)]
Fields = dict[str, Any] | None
BackboneName = Annotated[str, OneOf(backbones.KNOWN)]
# Strengths of brightness, contrast, saturation and hue, see `ppcjax.ops.colour.jitter`.
Jitter = tuple[Share, Share, Share, Annotated[float, Range(0, 0.5)]]

State = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network on a backbone; methods add what theirs has besides.

    backbone: name of the backbone.
    backbone_settings: fields of its module.
    pixel_mean: mean of RGB in [0, 1] that the weights it starts from were trained
        with; None for the backbone's own.
    pixel_std: deviation of RGB that they were trained with, in the same units; None
        for the backbone's own.
    dtype: type of the convolutions.
    """

    backbone: BackboneName
    backbone_settings: Fields = None
    pixel_mean: tuple[Share, Share, Share] | None = None
    pixel_std: tuple[Deviation, Deviation, Deviation] | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    def make_backbone(self) -> tuple[nn.Module, backbones.Backbone]:
        """The module of the backbone, and its entry with the colours it wants."""
        return backbones.make(
            self.backbone,
            self.backbone_settings,
            pixel_mean=self.pixel_mean,
            pixel_std=self.pixel_std,
            dtype=jnp.dtype(self.dtype),
        )


def need_classes(name: str, num_classes: int) -> None:
    """Raises ValueError where a method has no class but the background."""
    if num_classes < 2:
        raise ValueError(f"{name} needs a background and at least one more class")


def initializer(
    net: nn.Module, rules: Sequence = (), **arguments: Any
) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """`Method.init` of a network whose arrays do not depend on the batch.

    Args:
        net: network of normalised images [B, H, W, 3].
        rules: rules of `ppcjax.nn.init.initialize`.
        **arguments: further arguments of the network.

    Returns:
        (key, batch) -> (params, model_state).
    """

    def init(key, batch):
        channels = frozen.in_channels(net)
        image = jax.ShapeDtypeStruct((1, 64, 64, channels), jnp.float32)
        variables = initialize(net, key, image, rules=rules, **arguments)
        return variables.pop("params", {}), variables

    return init


def train_pass(
    net: nn.Module,
    params: Any,
    model_state: State,
    key: chex.PRNGKey | None,
    *inputs: Any,
    **arguments: Any,
) -> tuple[Any, dict[str, Any]]:
    """What a network gives in training, and the next model_state.

    Args:
        net: the network.
        params: its parameters.
        model_state: its other variables; all of them may change.
        key: randomness of drop-out; None where there is none.
        *inputs: inputs of the network.
        **arguments: further arguments of `net.apply`.
    """
    return net.apply(
        {"params": params, **model_state},
        *inputs,
        train=True,
        mutable=list(model_state),
        rngs=None if key is None else {"dropout": key},
        **arguments,
    )


def normalized(
    batch: DenseBatch,
    entry: backbones.Backbone,
    key: chex.PRNGKey | None = None,
    jitter: Sequence[float] = (),
    padding: float | None = None,
) -> jax.Array:
    """Images [B, H, W, 3] as a backbone wants them.

    Args:
        batch: "image" is read, and "valid" where there is one.
        entry: entry of the backbone.
        key: randomness of the colours; None for the photos' own.
        jitter: strengths of `ppcjax.ops.colour.jitter`.
        padding: grey that fills the rest, see `ppcjax.ops.colour.normalize`.
    """
    if not entry.mean:
        need_no_colours(entry.mean, jitter)
        return batch["image"].astype(jnp.float32)
    image = batch["image"].astype(jnp.float32) / 255.0
    if key is not None and any(jitter):
        image = colour.jitter(image, batch["valid"], key, strengths=jitter)
    return colour.normalize(
        image, batch.get("valid"), mean=entry.mean, std=entry.std, padding=padding
    )


def need_no_colours(mean: Sequence[float], *strengths: Any) -> None:
    """Raises UserError where colours are to change that a frozen network has seen.

    Args:
        mean: that of the backbone's entry, () where it sees features.
        *strengths: settings of the change, all 0 for none.
    """
    if not mean and any(np.any(strength) for strength in strengths):
        raise UserError(
            "a frozen network has seen the photos before their colours could change: "
            "set config.method.jitter=(0,0,0,0), hsv_shift=0, brightness_shift=0 and "
            "blur=0, those that the method has"
        )


def canvas_of(image: chex.Array, backbone: nn.Module) -> tuple[int, int]:
    """Rows and columns in pixels of what a backbone is given, [B, H, W, 3] or features.

    Args:
        image: input of the backbone.
        backbone: its module.
    """
    pixels = backbone.stride if hasattr(backbone, "in_channels") else 1
    return tuple(pixels * n for n in image.shape[1:3])


def extent_of(batch: DenseBatch) -> jax.Array | None:
    """True rows and columns [B, 2] of images that begin at (0, 0).

    None where the batch has no "valid": images of one size that fill their arrays,
    as an exported program of a fixed size has them.
    """
    return batch["valid"][:, 2:] if "valid" in batch else None


def accuracy(logits: chex.Array, mask: chex.Array) -> jax.Array:
    """Share of the pixels with a class whose largest score [..., C] is that class."""
    right = (jnp.argmax(logits, axis=-1) == mask).astype(jnp.float32)
    return masked_mean(right, mask != IGNORE)


def weighted_sum(
    terms: Mapping[str, jax.Array], weights: Mapping[str, Any]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss sum w_i L_i, and its terms as they are logged.

    Args:
        terms: L_i by name.
        weights: w_i by name; a term without one counts as it is.
    """
    total = sum(weights.get(name, 1.0) * term for name, term in terms.items())
    return total, {f"loss/{name}": term for name, term in terms.items()}
