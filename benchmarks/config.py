"""Reading a config without its flags, so that a host needs little to be measured."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppcjax.types import UserError


def load(text: str) -> Mapping[str, Any]:
    """The config of "configs/NAME.py[:VARIANT]" or of a run's config.json.

    The JSON of a run holds every override, and reading it needs no ml_collections.
    """
    name, _, variant = text.partition(":")
    path = Path(name)
    if not path.is_file():
        raise UserError(
            f"no config file {name!r}; see configs/, or a run's config.json"
        )
    if path.suffix == ".json":
        return json.loads(path.read_text())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return (
            module.get_config(variant) if variant else module.get_config()
        ).to_dict()
    except (TypeError, ValueError) as error:
        raise UserError(f"{text}: {error}") from error
