"""What --ckpt and --config name: a run, a file of weights, an untrained network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppcjax.cli import config_args
from ppcjax.evaluate import declared
from ppcjax.runs import Run
from ppcjax.train import length
from ppcjax.types import UserError


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arguments about the config, and all others.

    Args:
        argv: arguments behind the program's name.

    Returns:
        "--config=FILE" and "--config.FIELD=VALUE", also where the value is a word of
        its own; and the rest.
    """
    of_config: list[str] = []
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not (word.startswith(("--config=", "--config.")) or word == "--config"):
            rest.append(word)
            continue
        of_config.append(word)
        if "=" not in word and words:
            of_config.append(words.pop(0))
    return of_config, rest


def read_config(words: Sequence[str]) -> dict[str, Any] | None:
    """The config that the arguments name; None where they name none.

    Args:
        words: the first part of what `split` gives.
    """
    if not words:
        return None
    argv = config_args.with_config_first(words)
    if not argv[0].startswith("--config="):
        raise UserError(f"{argv[0]}: --config=CONFIG is missing beside it")
    config = config_args.parse(config_args.define(argv), declared.hints)
    # What refers to the steps needs some, even where nothing is trained.
    return length.at(config, config.steps or length.LEAST_STEPS)


def open_any(path: str, config: dict[str, Any] | None, photos: bool = False) -> Run:
    """Opens a run, a file of weights, or a network that needs no training.

    Args:
        path: run, checkpoint, exported model or file of weights; empty: the weights
            that the config starts from, as they are.
        config: what --config names; None where it is not given.
        photos: whether only photos are segmented, so that the data of the config is
            not needed.

    Raises:
        UserError: it cannot be opened, or needs a config that is not there.
    """
    from ppcjax import data_pipelines
    from ppcjax.train import settings
    from ppcjax.weights.opening import open_model
    from ppcjax.weights.untrained import open_untrained

    classes: tuple[str, ...] = ()
    if config is not None and not photos and (not path or _is_file(path)):
        reads = settings.reads_of(config["method"])
        classes = data_pipelines.class_names(config["data"], reads=reads)
    if not path:
        return open_untrained(config, classes)
    return open_model(path, config, classes)


def _is_file(path: str) -> bool:
    return Path(path).expanduser().is_file()
