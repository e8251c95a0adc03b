"""What a run starts from: the files behind its init_from, and what belongs to them.

Mean and deviation, padding and the order of the channels belong to weights: a network
that sees photos otherwise than in its training is worse, and nothing says so. They are
found out before the method is made, and become settings of the run.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax.nn import backbones
from ppcjax.runs import checkpoint
from ppcjax.types import UserError
from ppcjax.weights import fetch, guess, readers
from ppcjax.weights.matching import best_match, maps_of


class Source(NamedTuple):
    """A file or a run that weights are taken from.

    path: file, or directory of a run.
    arrays: what a file holds, by name; {} where it is a run.
    facts: "pixel_mean" and "pixel_std" of RGB, "padding", and "eps" and "channels",
        which loading needs; those that are known.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = {}


def find(init_from: str, method: Mapping[str, Any]) -> list[Source]:
    """The sources that `config.init_from` names, read.

    Args:
        init_from: names, addresses, files or runs, separated by commas; see
            `fetch.local_file`.
        method: config.method, whose backbone decides what "imagenet" is.

    Raises:
        UserError: one cannot be had or read.
    """
    backbone, settings = method.get("backbone"), method.get("backbone_settings") or {}
    sources = []
    for name in filter(None, init_from.split(",")):
        found = fetch.local_file(name, backbone, settings)
        if found.path.is_dir():
            sources.append(Source(found.path, {}, _facts_of_run(found.path)))
            continue
        arrays = readers.read(found.path, finite=False)  # loading checks what it takes
        facts = _facts_of_names(arrays, backbone, settings) | dict(found.facts)
        sources.append(Source(found.path, arrays, _in_rgb(facts)))
    if init_from and not sources:
        raise UserError(f"config.init_from={init_from!r} names nothing")
    return sources


def settings_of(
    sources: Sequence[Source],
    method: Mapping[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """config.method with the settings that belong to its weights.

    Args:
        sources: what `find` found.
        method: config.method; a setting that it has stays, with a line.
        say: takes the lines that tell what was set.
    """
    method, facts = dict(method), dict(sources[0].facts) if sources else {}
    settings = dict(method.get("backbone_settings") or {})
    if not facts or "backbone" not in method:
        return method
    module, entry = backbones.make(method["backbone"], settings)
    usual = {"pixel_mean": entry.mean, "pixel_std": entry.std}
    for name, of_backbone in usual.items():
        if name in facts and _set(method, name, facts[name], of_backbone, "", say):
            method[name] = tuple(facts[name])
    if "padding" in facts and hasattr(module, "padding"):
        where, fact = "backbone_settings.", facts["padding"]
        of_backbone = backbones.make(method["backbone"])[0].padding
        if _set(settings, "padding", fact, of_backbone, where, say):
            method["backbone_settings"] = settings | {"padding": fact}
    return method


def _set(settings, name, fact, usual, where: str, say) -> bool:
    """Whether a fact must be set; says so, and where another value was given."""
    given = settings.get(name)
    if _equal(fact, usual if given is None else given):
        return False
    if given is None:
        say(f"config.method.{where}{name}={_text(fact)}, as these weights want it")
        return True
    say(
        f"config.method.{where}{name}={_text(given)} stays, though these weights were "
        f"trained with {_text(fact)}"
    )
    return False


def _equal(a: Any, b: Any) -> bool:
    return a == b if isinstance(a, str) else np.allclose(a, b, atol=1e-4)


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else "({:.4g}, {:.4g}, {:.4g})".format(*value)
    )


def as_before(method: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """config.method with what `settings_of` had set when the run began.

    Args:
        method: config.method as it is given now.
        saved: that of the run's checkpoints.
    """
    method, facts = dict(method), belonging(saved)
    for name in ("pixel_mean", "pixel_std"):
        if name in facts and method.get(name) is None:
            method[name] = facts[name]
    settings = dict(method.get("backbone_settings") or {})
    if "padding" in facts and "padding" not in settings:
        method["backbone_settings"] = settings | {"padding": facts["padding"]}
    return method


def belonging(method: Mapping[str, Any]) -> dict[str, Any]:
    """What `settings_of` sets, of a config.method that has been through it."""
    found = {k: method[k] for k in ("pixel_mean", "pixel_std") if method.get(k)}
    padding = (method.get("backbone_settings") or {}).get("padding")
    return found | ({"padding": padding} if padding else {})


def _facts_of_run(folder: Path) -> dict[str, Any]:
    meta = checkpoint.newest_meta(checkpoint.run_folder(folder)) or {}
    return belonging(meta.get("config", {}).get("method", {}))


def _facts_of_names(arrays, backbone, settings) -> dict[str, Any]:
    """What the names of a file tell of its backbone's input."""
    if backbone is None:
        return {}
    leaves = guess.leaves(backbone, settings)
    match = best_match(leaves, arrays, maps_of(leaves))
    return dict(match.names.facts) if match is not None and match.share == 1 else {}


def _in_rgb(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts whose mean and deviation are those of red, green and blue."""
    facts = dict(facts)
    if facts.get("channels") == "bgr":
        for name in ("pixel_mean", "pixel_std"):
            if name in facts:
                facts[name] = tuple(facts[name])[::-1]
    return facts
