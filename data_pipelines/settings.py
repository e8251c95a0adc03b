"""From a config to keyword arguments, with an error that names the field."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ppcjax.types import UserError

# Fields of config.data that belong to the streams, and names of splits, which callers
# pass on themselves; all others belong to the source.
STREAM = (
    *("batch_size", "crop", "long_side", "scale", "aspect"),
    *("on_bad_image", "with_masks", "saliency", "workers"),
)
EPISODES = (
    *("way", "shot", "least_shot", "query", "novel", "validation_classes"),
    *("train_classes", "with_novel", "support_void", "other_ways", "min_pixels"),
    *("fit", "flip", "index"),
)
VIEWS = ("ratio",)
SPLITS = ("train_split", "eval_split", "val_split")
STREAM_AND_SPLITS = (*STREAM, *EPISODES, *VIEWS, *SPLITS)


def fields(data: Any) -> dict[str, Any]:
    """The fields of a ConfigDict, a mapping or a plain object, as a new dict."""
    if hasattr(data, "to_dict"):
        return data.to_dict()
    return dict(data) if isinstance(data, Mapping) else dict(vars(data))


def kind(data: Any) -> str:
    """What training batches hold: "episodes", "views" or "dense", by telling fields."""
    names = fields(data)
    return "episodes" if "way" in names else "views" if "ratio" in names else "dense"


def call(function: Callable, arguments: dict[str, Any], *, where: str, **extra) -> Any:
    """Calls `function` with the keyword-only arguments that a config gives.

    Args:
        function: takes its settings as keyword-only arguments.
        arguments: settings by name; every one must be an argument of `function`.
        where: what the settings belong to, for the error message.
        extra: arguments that do not come from the config.

    Raises:
        UserError: an argument is unknown or missing.
    """
    parameters = inspect.signature(function).parameters
    known = {n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY} - set(extra)
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise UserError(
            f"config.data.{unknown[0]} is not a setting of {where}; "
            f"its settings are {', '.join(sorted(known))}"
        )
    for name in sorted(known - set(arguments)):
        if parameters[name].default is inspect.Parameter.empty:
            raise UserError(f"config.data.{name} is missing; {where} needs it")
    return function(**arguments, **extra)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Checks an integer setting; raises UserError naming it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(
            f"config.data.{name} is {value!r}; give a whole number of at least {least}"
        )
    return value


def canvas(name: str, value: Any) -> None:
    """Checks a side of a square or (rows, columns); raises UserError naming it."""
    sides = value if isinstance(value, list | tuple) else (value, value)
    if len(sides) != 2:
        raise UserError(
            f"config.data.{name} is {value!r}; give one side in pixels, or rows and "
            "columns"
        )
    for side in sides:
        whole_number(name, side, least=1)


def number_range(name: str, value: Any, what: str) -> tuple:
    """Checks a setting of two positive numbers in order; raises UserError naming it."""
    numbers = value if isinstance(value, list | tuple) else ()
    if len(numbers) != 2 or not 0 < numbers[0] <= numbers[1]:
        raise UserError(
            f"config.data.{name} is {value!r}; give the lowest and the highest {what}"
        )
    return tuple(numbers)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Checks a setting that names a choice; raises UserError naming it."""
    if value not in choices:
        raise UserError(f"config.data.{name} is {value!r}; give {' or '.join(choices)}")
    return value
