"""Configs made small, so that each command of a page ends in seconds.

A stand-in tree has a folder `configs` whose files are those of the checkout with what
stands here changed. What a command sets itself counts, but for the fields in SIZES,
which are set once more behind it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.small_methods import small

# Networks that are quick, or whose weights a command needs.
KEPT = ("small_resnet", "resnet18")
UNTRAINED = ("panet",)  # works on weights as they are, which are a package
SIZES: dict[str, Any] = {
    "steps": 2,
    "log_every": 1,
    "checkpoint_every": 2,
    "data.batch_size": 2,
    "data.crop": 32,
    "data.size": 32,
    "data.train_size": 12,
    "data.val_size": 4,
    "data.test_size": 4,
    "method.small_view": 16,
}
OTHERS: dict[str, Any] = {
    "passes": 1.0,
    "minutes": 0.0,
    "data.long_side": (32, 40),
    "data.min_pixels": 1,
    "data.workers": 0,
    "eval.scales": (1.0,),
    "eval.episodes": 2,
    "eval.seeds": (0,),
    "eval.size": 32,
    "eval.min_pixels": 1,
    "eval.gallery": 2,
    "eval.photos": 2,
    "eval.side": 64,
    "eval.max_side": 64,
    "optim.frozen": (),
    "optim.schedule.warmup": 1,
    "optim.lr_mults": (),
}
# Of eval.py, set once more behind what a command gives.
OPTIONS = {"episodes": "2", "seeds": "0", "gallery": "2", "photos": "2"}
OPTIONS |= {"side": "64", "memory_photos": "4"}
# Of programs of ours, likewise.
MODULES = {
    "benchmarks.contrast": ("--slots", "100", "--repeats", "1", "--images", "1"),
    "benchmarks.none_of_these": ("--photos", "2", "--shots", "1", "--seeds", "0"),
    "benchmarks.episodes": ("--batches", "2"),
    "benchmarks.input": ("--batches", "2"),
}
# Of evaluations with episodes; their protocols have larger ones.
EPISODES = {"episodes": 2, "seeds": (0,), "size": 32, "min_pixels": 1}
# Photos of `shapes` that suffice for the shots of an episode.
SCENES = {"train_size": 64, "test_size": 64}
_PUBLISHED = re.compile(r"--config\.init_from=([a-z]\w*(\.npz)?)")
FILE = """from ppcjax.configs import {name} as whole
from tests.docs.small import shrunk


def get_config(*variant):
    return shrunk(whole.get_config(*variant), whole={whole})
"""


def write_configs(folder: Path, names: Sequence[str], whole: bool = False) -> None:
    """Writes the small configs of a tree.

    Args:
        folder: where they lie.
        names: the shipped ones.
        whole: whether their networks stay as they are.
    """
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(FILE.format(name=name, whole=whole))


def shrunk(config: Any, whole: bool = False) -> Any:
    """A config whose network, photos and length are small.

    Args:
        config: ConfigDict; it is changed.
        whole: whether the network stays, for a file of published weights.
    """
    method = config.method
    untrained = method.name in UNTRAINED and method.backbone == "efficientnet_lite0"
    if method.name == "features":  # nothing without weights, and these are a package
        method.backbone, untrained = "efficientnet_lite0", True
    if method.name == "pixpro" and method.backbone.startswith("resnet"):
        method.backbone = "resnet18"  # its names are those of the larger ones
    elif method.backbone not in KEPT and not untrained and not whole:
        own = {k: v for k, v in method.items() if not _of_network(k, v)}
        config.method = own | small(method.name)
        config.init_from = ""
    for path, value in (SIZES | OTHERS).items():
        _set(config, path, value)
    if "protocol" in config.get("eval", {}):
        config.eval.update(EPISODES)
        if config.data.source == "shapes":
            config.data.update(SCENES)
    if config.get("eval_every"):
        config.eval_every = 1
    return config


def _of_network(name: str, value: Any) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "items") or "endpoint" in name


def _set(config: Any, path: str, value: Any) -> None:
    *parts, name = path.split(".")
    place = config
    for part in parts:
        place = place.get(part) if place is not None else None
    if place is None or name not in place:
        return
    if name == "crop" and hasattr(place[name], "__len__"):
        value = (value, value + 16)
    place[name] = value


def published(words: Sequence[str]) -> str:
    """Name or file of the published weights that a command starts from, or ""."""
    found = filter(None, map(_PUBLISHED.fullmatch, words))
    return next((match[1] for match in found), "")


def again(words: Sequence[str], whole: bool = False) -> list[str]:
    """What is set once more behind a command, of the sizes that it sets.

    Args:
        words: the command.
        whole: whether its network stays whole, for the published weights it reads.
    """
    given = {word.partition("=")[0] for word in words}
    found = [
        f"--config.{path}={value}"
        for path, value in SIZES.items()
        if f"--config.{path}" in given
    ]
    found += [f"--{name}={v}" for name, v in OPTIONS.items() if f"--{name}" in given]
    # Published weights are of whole networks, and `checks` knows their names.
    if published(words) and not whole:
        found += ["--config.init_from="]
        if "--config.method.backbone" in given:
            found += ["--config.method.backbone=small_resnet"]
    if "-m" in words[:2]:
        found += MODULES.get(words[words.index("-m") + 1], ())
    return found
