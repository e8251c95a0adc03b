"""The methods by name. A method is made from keyword arguments and a class count."""

import inspect
from collections.abc import Mapping
from typing import Any

from ppcjax.methods import (
    affinity,
    asgnet,
    contrastive_seg,
    panet,
    pixpro,
    ppc,
    segment,
)
from ppcjax.types import Method, UserError

METHODS = {
    "affinity": affinity.affinity,
    "asgnet": asgnet.asgnet,
    "contrastive_seg": contrastive_seg.contrastive_seg,
    "panet": panet.panet,
    "pixpro": pixpro.pixpro,
    "ppc": ppc.ppc,
    "segment": segment.segment,
}

# What `predict` reads of (params, model_state), for methods that train with more.
FOR_PREDICTION = {"contrastive_seg": contrastive_seg.for_prediction}


def for_prediction(name: str, params: Any, model_state: Any) -> tuple[Any, Any]:
    """The (params, model_state) of a run without what serves its training alone."""
    keep = FOR_PREDICTION.get(name)
    return (params, model_state) if keep is None else keep(params, model_state)


def make(settings: Mapping[str, Any], num_classes: int) -> Method:
    """The method that a config describes.

    Args:
        settings: "name", a key of METHODS, and keyword arguments of that function.
        num_classes: C, the background included.

    Returns:
        The method.

    Raises:
        UserError: unknown name, unknown setting, or a value outside its range.
    """
    arguments = {key: settings[key] for key in settings if key != "name"}
    name = settings["name"]
    if name not in METHODS:
        raise UserError(f"method.name={name!r}: choose one of {', '.join(METHODS)}")
    known = [p for p in inspect.signature(METHODS[name]).parameters][1:]
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise UserError(
            f"method {name!r} has no setting {unknown[0]!r}; it has {', '.join(known)}"
        )
    try:
        return METHODS[name](num_classes, **arguments)
    except (TypeError, ValueError) as error:  # TypeError: a field the backbone lacks
        raise UserError(f"method {name!r}: {error}") from error
