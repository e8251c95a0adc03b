"""Segmentation with few masks or none, in JAX.

load      a trained run, to segment photos
fewshot   new classes from one to five masked examples
"""

import importlib
from typing import Any

from ppcjax.checkout import find_packages
from ppcjax.version import __version__

__all__ = ["__version__", "fewshot", "load"]

find_packages()


def __getattr__(name: str) -> Any:
    # Restoring takes seconds to import, which training does not need.
    if name == "load":
        return importlib.import_module("ppcjax.predict.photos").load
    if name == "fewshot":
        return importlib.import_module("ppcjax.predict.supports")
    raise AttributeError(f"module 'ppcjax' has no attribute {name!r}")
