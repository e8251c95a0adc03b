"""The methods by name. A method is made from keyword arguments and a class count."""

from collections.abc import Mapping
from typing import Any

from ppcjax import fields
from ppcjax.methods import (
    affinity,
    asgnet,
    contrastive_seg,
    features,
    panet,
    pixpro,
    ppc,
    ridge,
    segment,
    superpixels,
)
from ppcjax.types import Method, UserError

METHODS = {
    "affinity": affinity.affinity,
    "asgnet": asgnet.asgnet,
    "contrastive_seg": contrastive_seg.contrastive_seg,
    "features": features.features,
    "panet": panet.panet,
    "pixpro": pixpro.pixpro,
    "ppc": ppc.ppc,
    "ridge": ridge.ridge,
    "segment": segment.segment,
    "superpixels": superpixels.superpixels,
}


def make(settings: Mapping[str, Any], num_classes: int) -> Method:
    """The method that a config describes.

    Args:
        settings: "name", a key of METHODS, and keyword arguments of that function.
        num_classes: number of classes, the background included.

    Returns:
        The method.

    Raises:
        UserError: unknown name, unknown setting, or a value outside its range.
    """
    arguments = {key: settings[key] for key in settings if key != "name"}
    name = settings["name"]
    if not isinstance(name, str) or name not in METHODS:
        known = ", ".join(METHODS)
        raise UserError(f"method.name={fields.shown(name)}: choose one of {known}")
    try:
        return fields.build(
            METHODS[name],
            arguments,
            where="config.method",
            what=f"method {name!r}",
            num_classes=num_classes,
        )
    except ValueError as error:  # settings that do not fit each other
        raise UserError(f"method {name!r}: {error}") from error
