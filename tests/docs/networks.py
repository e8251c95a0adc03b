"""What a page has trained so far, and what its other networks may be."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from ppcjax import data_pipelines, methods
from ppcjax.frozen import kept
from ppcjax.nn.backbones import BACKBONES
from ppcjax.runs import Run
from ppcjax.train import settings
from ppcjax.weights import guess
from ppcjax.weights.arrays import to_names, writable
from tests.docs import names
from tests.docs.names import Config

# Of data whose classes lie in files, beside those that a command names.
CLASSES = ("background", "cat", "cow")


class Networks:
    """The networks of one page: its commands make them, later ones use them."""

    def __init__(self):
        self.made: dict[str, Config] = {}

    def add(self, path: str, config: Config) -> None:
        """Remembers that a command has written a network."""
        self.made.pop(_key(path), None)  # so that the last one stands last
        self.made[_key(path)] = config

    def find(self, path: str) -> Iterator[Config]:
        """Configs that a network may have been trained with, the likeliest first.

        Args:
            path: what stands behind --ckpt.
        """
        if _key(path) in self.made:
            yield self.made[_key(path)]
            if not names.is_any(path):
                return
            yield list(self.made.values())[-1]  # one that "..." has not named
        named = names.config_of_run(PurePosixPath(_key(path)).name)
        if named is not None:
            yield names.read_config(named, ())
            return
        for kind in names.KINDS:
            yield names.read_config(f"configs/{kind}.py", ())


def _key(path: str) -> str:
    return path.rstrip("/").removeprefix("./")


def classes_named(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes in the options of a command."""
    found: list[str] = []
    options = {}
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        follows = words[place + 1] if place + 1 < len(words) else ""
        options[option.lstrip("-")] = value if equals else follows
    for option in ("config.data.novel", "config.data.train_classes"):
        if options.get(option, "").startswith("("):
            found += ast.literal_eval(options[option])
    for option in ("report_classes", "classes", "names"):
        found += options.get(option, "").split(",")
    return tuple(dict.fromkeys(name for name in found if name.isidentifier()))


def as_run(config: Config, words: tuple[str, ...]) -> Run:
    """A run of a config, without a checkpoint: enough to know its options.

    Args:
        config: what it was trained with.
        words: the command, whose names of classes it knows.
    """
    data = config.values["data"]
    if data["source"] in ("folder", "photos", "imagenet"):
        classes = tuple(dict.fromkeys((*CLASSES, *classes_named(words))))
    else:
        reads = settings.reads_of(config.values["method"])
        classes = data_pipelines.class_names(data, reads=reads)
    folder = PurePosixPath("runs") / config.values["name"]
    method = _method(repr(kept.method_of(config.values)), len(classes))
    return Run(folder, 1, config.values, classes, method, None, None)


@functools.cache
def _method(settings: str, classes: int):
    return methods.make(ast.literal_eval(settings), classes)


def backbone_of(start: str) -> str:
    """The backbone whose weights a file of this name holds, "" where none has it."""
    if Path(start).suffix != ".npz":
        return ""
    found = [name for name in BACKBONES if Path(start).stem.startswith(name)]
    return max(found, key=len, default="")


def write_backbone(path: Path) -> None:
    """Writes a file with a backbone alone, by the names that its publisher gave it.

    Args:
        path: the .npz file, whose name begins with that of the backbone.
    """
    draw = np.random.default_rng(0).uniform
    leaves = {
        name: draw(0.01, 0.1, leaf.shape).astype(np.float32)
        for name, leaf in guess.leaves(backbone_of(path.name), {}).items()
    }
    published = next(iter(writable(leaves).values()))
    np.savez(path, **to_names(leaves, published))
