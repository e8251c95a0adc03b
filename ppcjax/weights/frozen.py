"""Weights for a network that is not trained, and stands under a method."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from ppcjax.frozen import kept, placing, variables
from ppcjax.frozen.network import Frozen
from ppcjax.frozen.settings import FrozenSettings
from ppcjax.types import UserError
from ppcjax.weights.loading import load_into
from ppcjax.weights.start import find, settings_of

_PART = "backbone"  # what a file of weights fills


def fetch(settings: FrozenSettings, log: Callable[[str], None]) -> Frozen:
    """The network of config.frozen with the weights that it names.

    Args:
        settings: config.frozen.
        log: takes the lines that say what was loaded, and set to fit it.

    Raises:
        UserError: no weights are named, or they cannot be had, or are of another
            network, or others than its digest says.
    """
    if not settings.weights:
        raise UserError(
            "config.frozen.weights is empty, so that a random network would look at "
            f"photos: name weights of {settings.backbone}, a file or a run"
        )
    method = {
        name: value
        for name in ("backbone", "backbone_settings", "pixel_mean", "pixel_std")
        if (value := getattr(settings, name)) is not None
    }

    def say(text: str) -> None:
        log(variables.as_frozen(text))

    with variables.errors_of_frozen():
        sources = find(settings.weights, method)
        found = settings_of(sources, method, say)
        settings = dataclasses.replace(settings, **found)
        start = variables.random(settings, jax.random.key(0))
        params, state = load_into(
            {_PART: start["params"]},
            {name: {_PART: value} for name, value in start.items() if name != "params"},
            sources,
            bgr=False,
            log=say,
        )
    rest = {name: value[_PART] for name, value in state.items()}
    frozen = Frozen(placing.settled(settings), {**rest, "params": params[_PART]})
    if settings.digest not in ("", frozen.digest):
        raise UserError(
            f"config.frozen.weights={settings.weights!r} has the digest "
            f"{frozen.digest}, and config.frozen.digest says {settings.digest}"
        )
    log(f"frozen: {settings.backbone}, features of {frozen.width} channels")
    return frozen


def of_config(
    config: dict[str, Any], log: Callable[[str], None]
) -> tuple[dict[str, Any], Frozen | None]:
    """A config whose method fits its frozen network, and that network with its weights.

    Args:
        config: whole config, JSON types.
        log: takes the lines that say what was loaded.

    Returns:
        The config as it is, and None, where it has no frozen network.

    Raises:
        UserError: a setting is wrong, or the weights cannot be had.
    """
    settings = kept.settings_of(config)
    if settings is None:
        return config, None
    frozen = fetch(settings, log)
    return {**config, "method": kept.fitted(config["method"], frozen.settings)}, frozen
