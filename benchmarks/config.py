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


def of_step(text: str) -> dict[str, Any]:
    """A config whose training step is measured on random data.

    On a frozen network the step begins with features. What they are is then in
    config.data as "features", for `benchmarks.step.random_batch`: "stride" and "width",
    and "second", the side in pixels of a smaller view, 0 for none.

    Args:
        text: "configs/NAME.py[:VARIANT]", or a run's config.json.

    Raises:
        UserError: there is no such config, it is wrong, or it has nothing to train.
    """
    # Here, since reading a config needs neither JAX nor its networks.
    from ppcjax import methods
    from ppcjax.frozen import kept
    from ppcjax.nn.frozen import FrozenFeatures
    from ppcjax.train.settings import nothing_to_train

    settings = dict(load(text))
    settings["method"] = kept.method_of(settings)
    method = methods.make(settings["method"], 3)  # any number of classes
    if method.loss is None:
        raise nothing_to_train(settings["method"]["name"])
    if kept.settings_of(settings) is not None:
        grid = settings["method"]["backbone_settings"]
        width = FrozenFeatures(**grid).in_channels
        features = {"stride": grid["stride"], "width": width}
        features["second"] = method.second_view
        settings["data"] = {**settings["data"], "features": features}
    return settings
