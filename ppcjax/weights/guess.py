"""Which network of ppcjax a file is of, for messages."""

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ppcjax.nn import backbones
from ppcjax.types import UserError
from ppcjax.weights import namemap
from ppcjax.weights.matching import Match, best_match, leaves_of, maps_of, value_of


def guess(arrays: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The backbone that a file fills wholly, and its settings.

    Args:
        arrays: arrays of the file by name.

    Returns:
        Of several the one that leaves the least of the file; None where there is none.
    """
    found = []
    for network in namemap.networks():
        if _is_plausible(network, arrays):
            for backbone, settings in namemap.variants(network):
                count = _filled(backbone, settings, arrays)
                if count:
                    found.append((count, backbone, settings))
    return max(found, key=lambda one: one[0])[1:] if found else None


def advice(arrays: Mapping[str, Any]) -> str:
    """A phrase that names the nearest setting of a file, or what it seems to hold."""
    found = guess(arrays)
    if found is None:
        first = ", ".join(sorted(arrays)[:3])
        networks = (n for n in namemap.networks() if namemap.variants(n))
        alike = [network for network in networks if _is_plausible(network, arrays)]
        if alike:
            return (
                f"no network of ppcjax has just these arrays ({first}, ...), though "
                f"their names are like those of {alike[0]}: is the file complete?"
            )
        return f"no network of ppcjax has these names ({first}, ...)"
    backbone, settings = found
    text = f"the file is of {backbone}: set --config.method.backbone={backbone}"
    if settings:
        text += f" and config.method.backbone_settings={json.dumps(settings)}"
    return text


def _is_plausible(network: str, arrays: Mapping[str, Any]) -> bool:
    """Whether most names of a file are those of a network, or of two copies of it."""
    names = [name for name in arrays if not name.endswith("num_batches_tracked")]
    for found in namemap.namings(network).values():
        matches = map(found.ending().search, names)
        prefixes = Counter(m.string[: m.start()] for m in matches if m)
        known = sum(count for _, count in prefixes.most_common(2))
        if names and known > 0.6 * len(names):
            return True
    return False


def _filled(backbone: str, settings: dict[str, Any], arrays: Mapping[str, Any]) -> int:
    """How many arrays of a file fill a backbone; 0 where they do not fill it."""
    ours = leaves(backbone, settings)
    match = ours and best_match(ours, arrays, maps_of(ours))
    if not match or match.missing or not _shapes_fit(ours, arrays, match):
        return 0
    return len(match.wanted)


def _shapes_fit(ours, arrays, match: Match) -> bool:
    return all(
        value_of(match.names, path, leaf, arrays, match.prefix).shape == leaf.shape
        for path, leaf in ours.items()
        if match.names.terms(path)
    )


def leaves(backbone: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes of the parameters and statistics of a backbone by path; {} for none."""
    return _leaves(backbone, json.dumps(dict(settings)))


@functools.cache
def _leaves(backbone: str, settings: str) -> dict[str, Any]:
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    try:
        module, _ = backbones.make(backbone, json.loads(settings))
    except UserError:
        return {}
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)
    stats = leaves_of(shapes.get("batch_stats", {}))
    return leaves_of(shapes["params"]) | stats


def group(name: str) -> str:
    """The head of an array's name that says where it belongs.

    layer1.0.conv1.weight -> layer1; fc.bias -> fc; bn1.num_batches_tracked -> itself
    """
    if name.endswith("num_batches_tracked"):
        return "num_batches_tracked"
    return re.split(r"[./]", name)[0]
