"""A small frozen network of random weights."""

import jax

from ppcjax.frozen import variables
from ppcjax.frozen.network import Frozen
from ppcjax.frozen.settings import FrozenSettings

SETTINGS = {
    "backbone": "vit_s14",
    "backbone_settings": {
        "patch": 8,
        "width": 12,
        "depth": 2,
        "heads": 2,
        "grid": (4, 4),
    },
}


def network(**more) -> Frozen:
    """The network, its settings changed by `more`."""
    settings = FrozenSettings(**{**SETTINGS, "cache": "off", **more})
    return Frozen(settings, variables.random(settings, jax.random.key(3)))
