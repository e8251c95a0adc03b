"""The frozen network of a run: one file in its folder, and what its config says."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppcjax import fields
from ppcjax.console.writing import write_file
from ppcjax.frozen.batches import attached
from ppcjax.frozen.network import Frozen
from ppcjax.frozen.settings import FrozenSettings
from ppcjax.frozen.variables import as_bytes, layout, of_bytes, size_of
from ppcjax.nn.frozen import NAME
from ppcjax.types import Method, UserError

FILE = "frozen.f32"  # in a run: variables of its frozen network, see `as_bytes`
_OTHER = (
    "damaged, or of another network than the run began with; put back the file of that "
    "run, or train anew"
)


def settings_of(config: Mapping[str, Any]) -> FrozenSettings | None:
    """What config.frozen says; None where there is none.

    Args:
        config: whole config, a mapping.

    Raises:
        UserError: a setting is wrong, or a method stands on what is not there, or the
            other way round.
    """
    values = config.get("frozen")
    backbone = config["method"].get("backbone")
    if values is None and backbone != NAME:
        return None
    if values is None:
        raise UserError(
            'config.method.backbone="frozen" needs config.frozen, the network that '
            "looks at the photos, as configs/ppc_dino.py has it"
        )
    if backbone != NAME:
        raise UserError(
            f"config.frozen is given, and config.method.backbone={backbone!r}: set "
            '"frozen" there, or leave config.frozen out'
        )
    # None and an empty one are the same, under one name in what is kept.
    given = {**values, "backbone_settings": values.get("backbone_settings") or None}
    return fields.build(
        FrozenSettings, given, where="config.frozen", what="a frozen network"
    )


def fitted(
    method: Mapping[str, Any], settings: FrozenSettings | None
) -> dict[str, Any]:
    """config.method with the layout of what it stands on, if that is frozen.

    Raises:
        UserError: the config gives others.
    """
    if settings is None:
        return dict(method)
    found = layout(settings)
    given = dict(method.get("backbone_settings") or {})
    for name, value in given.items():
        if found.get(name) != value:
            raise UserError(
                f"config.method.backbone_settings.{name}={value!r}: the frozen network "
                f"has {found}; leave it out"
            )
    return {**method, "backbone_settings": found}


def method_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.method of a whole config, fitted to its frozen network if it has one.

    Raises:
        UserError: a setting is wrong, or the two do not go together.
    """
    return fitted(config["method"], settings_of(config))


def keep(folder: Path, frozen: Frozen) -> None:
    """Writes the variables of a network into the folder of a run."""
    write_file(folder / FILE, as_bytes(frozen.variables))


def needed(folder: Path, settings: FrozenSettings) -> Frozen:
    """The network that a run keeps.

    Raises:
        UserError: it is missing, damaged, or another than the run began with.
    """
    file = folder / FILE
    content = _content(file, size_of(settings))
    if settings.digest not in ("", hashlib.sha256(content).hexdigest()):
        raise UserError(f"{file} is {_OTHER}")
    return Frozen(settings, of_bytes(content, settings))


def _content(file: Path, size: int) -> bytes:
    """A file of so many bytes; UserError where it is another, which is not read."""
    if not file.is_file():  # a pipe of that name would be waited for
        raise UserError(
            f"{file} is missing, without which the run cannot see; put it back"
        )
    try:
        there = file.stat().st_size
        if there == size:
            with file.open("rb") as stream:
                content = stream.read(size)
            there = len(content)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    if there != size:
        raise UserError(
            f"{file} has {there:,} bytes, and the network in the run's config "
            f"{size:,}: it is {_OTHER}"
        )
    return content


def with_network(method: Method, config: Mapping[str, Any], folder: Path) -> Method:
    """A method of a run with the frozen network that it stands on, if it does.

    Args:
        method: made from config.method.
        config: config of the run.
        folder: the run.

    Raises:
        UserError: the run's network is not there, or damaged.
    """
    settings = settings_of(config)
    if settings is None:
        return method
    return attached(method, needed(folder, settings))
