"""Where the configs and the data side are found: installed, or in a checkout.

Code imports them as `ppcjax.configs` and `ppcjax.data_pipelines`. In a wheel they lie
inside the package; in a checkout they are the top-level folders beside it. A config of
a user may say `from configs import base` in both.
"""

import difflib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from ppcjax.errors import UserError

PACKAGE = Path(__file__).resolve().parent
BESIDE = ("configs", "data_pipelines")
INSTALLED = (PACKAGE / "configs").is_dir()
CONFIGS = (PACKAGE if INSTALLED else PACKAGE.parent) / "configs"


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


def program(word: str) -> str:
    """How a command is typed here: "ppcjax eval", and in a checkout "eval.py".

    Args:
        word: name of the command, a key of `ppcjax.program.COMMANDS`.
    """
    if not INSTALLED and word in ("train", "eval"):
        return f"{word}.py"
    return f"ppcjax {word}" if INSTALLED else f"python -m ppcjax {word}"


def shipped() -> dict[str, str]:
    """The configs that come with the program: name -> first line of its docstring."""
    found = {}
    for file in sorted(CONFIGS.glob("*.py")):
        text = file.read_text("utf-8")
        if file.stem != "base" and "def get_config(" in text:
            found[file.stem] = text.lstrip('"').partition("\n")[0].rstrip('"')
    return found


def config_file(named: str) -> str:
    """The file of a config, also where it is named as those are that are shipped.

    Args:
        named: NAME, NAME:VARIANT or FILE.py[:VARIANT].

    Returns:
        FILE.py or FILE.py:VARIANT; of files, what was given.

    Raises:
        UserError: no config is shipped under that name.
    """
    name, colon, variant = named.partition(":")
    if not name or name.endswith(".py") or {"/", os.sep} & set(name):
        return named
    if name not in shipped():
        near = difflib.get_close_matches(name, shipped(), 1, 0.5)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(shipped())}"
        )
        raise UserError(f"--config={named}: no config of that name is shipped; {hint}")
    return f"{CONFIGS / name}.py{colon}{variant}"
