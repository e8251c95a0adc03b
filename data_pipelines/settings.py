"""What the fields of config.data may hold, for all who declare some of them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from ppcjax import fields
from ppcjax.fields import Free, Ordered, Place, Range, kinds

WHERE = "config.data"

OnBadImage = Annotated[Literal["stop", "skip"], Free()]
Count = kinds.Few
Batch = kinds.Batch
Workers = Annotated[int, Range(0, 1024), Free()]
Folder = Annotated[str, Place()]
Side = kinds.Side
Sides = Annotated[tuple[Side, Side], Ordered()]
Factor = kinds.Factor
Factors = Annotated[tuple[Factor, Factor], Ordered()]
Share = kinds.Share
MaskIds = tuple[Annotated[int, Range(0, 65535)], ...]


def as_dict(data: Any) -> dict[str, Any]:
    """The fields of a ConfigDict, a mapping or a plain object, as a new dict."""
    if hasattr(data, "to_dict"):
        return data.to_dict()
    return dict(data) if isinstance(data, Mapping) else dict(vars(data))


def declared_in(data: Any, declared: Callable) -> dict[str, Any]:
    """Those fields of config.data that a function or a dataclass declares."""
    known = fields.fields_of(declared)
    return {name: value for name, value in as_dict(data).items() if name in known}


def make(declared: Callable, data: Any, *, what: str, **extra: Any) -> Any:
    """Builds something from those fields of config.data that it declares.

    Args:
        declared: function or dataclass, see `ppcjax.fields.build`.
        data: config.data; its other fields belong to others.
        what: what the settings belong to, for messages.
        **extra: arguments that do not come from a config.

    Raises:
        UserError: a setting is missing, or outside its range.
    """
    chosen = declared_in(data, declared)
    return fields.build(declared, chosen, where=WHERE, what=what, **extra)
