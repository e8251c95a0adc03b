"""Makes Flax modules from settings that a config gives by name.

A module declares its settings the way methods do, by annotations of its fields.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import flax.linen as nn

from ppcjax import fields
from ppcjax.fields import Range, kinds
from ppcjax.types import UserError

Count = kinds.Few
Channels = kinds.Channels
Share = kinds.Share
Dropout = Annotated[float, Range(0, below=1)]
# Share of a batch in the statistics that are kept; 0 keeps those of the start.
Momentum = Annotated[float, Range(0, below=1)]


def build(
    declared: Callable[..., nn.Module],
    settings: Mapping[str, Any] | None,
    *,
    where: str,
    **given: Any,
) -> nn.Module:
    """A module whose fields a config sets.

    Args:
        declared: class of the module, or a `functools.partial` of it.
        settings: values of its fields by name; None for none.
        where: setting that holds them, such as "backbone_settings", for messages.
        **given: fields that do not come from the config.

    Raises:
        UserError: there is no such field, or it may not have such a value.
        ValueError: the module refuses a value.
    """
    settings = dict(settings or {})
    of_flax = ("parent", "name")
    known = [
        name
        for name in inspect.signature(declared).parameters
        if name not in (*of_flax, *given)
    ]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise UserError(
            f"config.method.{where}.{unknown[0]} is not a setting; there are "
            + (", ".join(known) or "none")
        )
    of_class = getattr(declared, "func", declared)
    hints = typing.get_type_hints(of_class, include_extras=True)
    values = {
        name: fields.check(hints[name], value, f"config.method.{where}.{name}")
        for name, value in settings.items()
    }
    return declared(**given, **values)
