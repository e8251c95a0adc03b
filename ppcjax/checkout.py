"""What differs between a wheel and a checkout: places, commands, what to install.

Code imports the configs and the data side as `ppcjax.configs` and
`ppcjax.data_pipelines`. In a wheel they lie inside the package; in a checkout they are
the top-level folders beside it. A config of a user may say `from configs import base`
in both.
"""

import ast
import contextlib
import difflib
import functools
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from ppcjax.console import caches
from ppcjax.errors import UserError

PACKAGE = Path(__file__).resolve().parent
BESIDE = ("configs", "data_pipelines")
INSTALLED = (PACKAGE / "configs").is_dir()
CONFIGS = (PACKAGE if INSTALLED else PACKAGE.parent) / "configs"

# Module that is imported only where it is needed -> its extra in pyproject.toml.
EXTRAS = {
    "tensorflow": "train",
    "tensorflow_datasets": "train",
    "tensorboardX": "train",
    "huggingface_hub": "weights",
    "pooch": "weights",
    "requests": "weights",
    "pillow_heif": "photos",
    "jax2onnx": "onnx",
    "onnxruntime": "onnx",
    "wandb": "wandb",
    "starlette": "label",
    "uvicorn": "label",
}
# In a checkout two of the commands are files.
_FILES = ("train", "eval")


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


def require(what: str, *modules: str) -> None:
    """Says in one line what to install where a module of an extra is not there.

    Args:
        what: what needs them, for the message.
        modules: keys of EXTRAS.

    Raises:
        UserError: one is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"{what} needs {module}, which is not installed: "
                f"{install(EXTRAS[module])}"
            )


def install(extra: str) -> str:
    """How an extra is installed here.

    Args:
        extra: name of an extra of pyproject.toml.
    """
    if INSTALLED:
        return f'pip install "ppcjax[{extra}]"'
    own = "" if extra == "train" else f"-{extra}"
    return f"pip install -r requirements{own}.txt"


@contextlib.contextmanager
def keras_elsewhere() -> Iterator[None]:
    """Keeps Keras, which TensorFlow imports, from leaving its settings in the home.

    Settings of the user's own count as ever; where there are none, its defaults go to
    the folder of compiled programs.
    """
    name = "KERAS_HOME"
    if name in os.environ or os.path.exists(os.path.expanduser("~/.keras")):
        yield
        return
    os.environ[name] = str(caches.folder("keras"))
    try:
        yield
    finally:
        del os.environ[name]


def program(word: str) -> str:
    """How a command is typed here.

    The way in which this process was started, where that is known; else "ppcjax eval"
    of a wheel and "python eval.py" of a checkout.

    Args:
        word: name of the command, a key of `ppcjax.program.COMMANDS`.
    """
    script = Path(sys.argv[0] if sys.argv else "")
    if script.stem == "ppcjax":
        return f"ppcjax {word}"
    if (script.parent.name, script.name) != ("ppcjax", "__main__.py"):
        if INSTALLED:
            return f"ppcjax {word}"
        if word in _FILES:
            return f"python {word}.py"
    return f"python -m ppcjax {word}"


def as_typed(text: str) -> str:
    """A text in which every "ppcjax eval" reads as it is typed here."""
    words = r"\bppcjax (train|eval|predict|label|score|inspect|weights)\b"
    return re.sub(words, lambda found: program(found[1]), text)


@functools.cache
def shipped() -> dict[str, str]:
    """The configs that come with the program: name -> first line of its docstring."""
    found = {}
    for file in sorted(CONFIGS.glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
        if file.stem != "base" and "get_config" in functions:
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def config_file(named: str) -> str:
    """The file of a config, also where it is named as those are that are shipped.

    Args:
        named: NAME, NAME:VARIANT or FILE.py[:VARIANT].

    Returns:
        FILE.py or FILE.py:VARIANT.

    Raises:
        UserError: no config is shipped under that name, or there is no such file.
    """
    drive, rest = os.path.splitdrive(named)
    name, variant = re.fullmatch(r"([^:]*)(.*)", rest, re.DOTALL).groups()
    name, variant = drive + name, "" if variant == ":" else variant
    file = CONFIGS / f"{name}.py" if name in shipped() else os.path.expanduser(name)
    if not os.path.isfile(file):
        is_path = name.endswith(".py") or {"/", os.sep} & set(name)
        what = "no such file" if is_path else "no config of that name is shipped"
        what = "a folder is no config" if os.path.isdir(file) else what
        raise UserError(f"--config={named}: {what}; {_instead(name, variant)}")
    # What reads it takes the first colon for that of the variant.
    return (os.path.relpath(file) if ":" in str(file) else str(file)) + variant


def on_frozen(file: str) -> str:
    """The shipped config that does on a frozen network what another shipped one does.

    Args:
        file: FILE.py or FILE.py:VARIANT, as `config_file` gives it.

    Returns:
        NAME or NAME:VARIANT; "" where none is shipped.
    """
    path, suffix, variant = file.rpartition(".py")
    name = f"{Path(path).name.removesuffix('_folder')}_dino_folder"
    shipped_one = Path(path + suffix).resolve().parent == CONFIGS
    found = shipped_one and path.endswith("_folder") and name in shipped()
    return name + variant if found else ""


def _instead(name: str, variant: str) -> str:
    """What to give for a config that is not there."""
    stem = Path(name).name.removesuffix(".py")
    if stem in shipped():
        return f"the shipped one is --config {stem}{variant}"
    near = difflib.get_close_matches(stem, shipped(), 1)
    if near:
        return f"did you mean --config {near[0]}{variant}?"
    return f"`{program('train')} --help` lists those that are shipped"
