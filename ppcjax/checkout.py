"""Where the configs and the data side are found: installed, or in a checkout.

Code imports them as `ppcjax.configs` and `ppcjax.data_pipelines`. In a wheel they lie
inside the package; in a checkout they are the top-level folders beside it. A config of
a user may say `from configs import base` in both.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
BESIDE = ("configs", "data_pipelines")


class Beside:
    """Finds `ppcjax.configs` and `ppcjax.data_pipelines` beside the package."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        """The package of a name in BESIDE; None for all other names."""
        parent, _, folder = name.rpartition(".")
        file = PACKAGE.parent / folder / "__init__.py"
        if parent != "ppcjax" or folder not in BESIDE or not file.is_file():
            return None
        return importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=[str(file.parent)]
        )


class Configs:
    """Finds `configs` in the package where nothing else has that name."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        """The package `configs`; None for all other names."""
        if name != "configs":
            return None
        found = importlib.util.find_spec("ppcjax.configs")
        places = list(found.submodule_search_locations)
        return importlib.util.spec_from_file_location(
            name, found.origin, submodule_search_locations=places
        )


def find_packages() -> None:
    """Adds both finders behind those that Python has; a second call adds nothing."""
    sys.meta_path += [f for f in (Beside, Configs) if f not in sys.meta_path]
