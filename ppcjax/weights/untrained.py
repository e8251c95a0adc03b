"""Networks that need no training: a backbone of published weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax

from ppcjax import methods
from ppcjax.frozen.batches import attached
from ppcjax.runs import Run, checked
from ppcjax.types import Method, UserError
from ppcjax.weights.frozen import of_config
from ppcjax.weights.loading import load_into
from ppcjax.weights.released import SHAPES
from ppcjax.weights.start import find, settings_of

_PART = "backbone"  # what a file of weights fills


def open_untrained(
    config: Mapping[str, Any],
    classes: tuple[str, ...] = (),
    *,
    log: Callable[[str], None] = print,
) -> Run:
    """A network on a backbone as its weights in config.init_from are.

    It learns from examples, or has nothing to train at all.

    Args:
        config: config of the method, JSON types.
        classes: names by class id of the data that it is evaluated on, if any.
        log: takes the lines that say what was loaded, and that nothing was trained.

    Returns:
        A Run; evaluations write below runs/NAME_untrained.

    Raises:
        UserError: the method has parameters that only training gives, or no weights
            are named, or they cannot be had.
    """
    config = json.loads(json.dumps(dict(config)))
    config = checked.config_of(config, "a network without training")
    config, frozen = of_config(config, log)
    settings, init_from = config["method"], config.get("init_from")
    method = _method(settings, classes)
    if method.fit is None and method.loss is not None:
        _refuse(settings["name"], "it learns from a data set")
    state = method.keep(*method.init(jax.random.key(0), SHAPES))
    own = [part for part in state[0] if part != _PART]
    if own:
        _refuse(settings["name"], f"its {', '.join(own)} would be random")
    if not init_from and frozen is None:
        raise UserError(
            f"config.init_from is empty, so that {config['name']} would compare random "
            "features; name weights, such as imagenet"
            + ", or give --ckpt=RUN"
            * (method.loss is not None)
        )
    if frozen is None:
        sources = find(init_from, settings)
        config["method"] = settings = settings_of(sources, settings, log)
        bgr = settings.get("channels") == "bgr"
        state = load_into(*state, sources, bgr=bgr, log=log)
        method = _method(settings, classes)
    else:
        init_from, method = frozen.settings.weights, attached(method, frozen)
    if method.fit is not None:
        log(f"not trained for few-shot: {settings['name']} on features of {init_from}")
    return Run(
        folder=Path("runs") / f"{config['name']}_untrained",
        step=0,
        config=config,
        classes=classes,
        method=method,
        params=state[0],
        model_state=state[1],
        named=True,
        untrained=True,
    )


def _method(settings: Mapping[str, Any], classes: tuple[str, ...]) -> Method:
    # Such networks do not depend on the number of classes.
    return methods.make(settings, len(classes) or 2)


def _refuse(name: str, why: str) -> NoReturn:
    raise UserError(
        f"method {name!r} needs training ({why}): give --ckpt=RUN of a training, "
        "or a config that works without, such as panet_folder"
    )
