"""Whether commands of other programs can be typed: pip, make, docker and the like.

Of these, what is ours must exist: requirements, extras, targets, files.
"""

import functools
import re
import tomllib
from collections.abc import Callable, Sequence

from ppcjax import __version__
from tests.docs import names
from tests.docs.blocks import ROOT

_OF_PIP = ("install", "check", "download", "uninstall", "list")
# Options of pip that a place follows.
_WITH_PLACE = ("-r", "-d", "-c", "--dest", "--find-links")
_REQUIREMENT = re.compile(r"([\w./-]+|\.)(?:\[([\w, -]+)\])?")


def pip(words: Sequence[str]) -> None:
    """Requirements are files that are there, extras and names that are declared."""
    assert words and words[0] in _OF_PIP, f"pages say no pip {words[:1]}"
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word in _WITH_PLACE:
            place = rest.pop(0)
            assert word != "-r" or (ROOT / place).is_file(), f"there is no {place}"
            continue
        if word.startswith("-"):
            continue
        found = _REQUIREMENT.match(word)
        assert found, f"{word!r} is no requirement"
        if names.is_any(found[1]):
            continue
        name, extras = found[1].lower().replace("_", "-"), found[2] or ""
        if name.endswith(".whl"):
            assert name.rpartition("/")[2] == _wheel(), f"make wheel makes {_wheel()}"
        if name in ("ppcjax", ".") or name.endswith(".whl"):
            for extra in filter(None, re.split(r"[, ]+", extras)):
                assert extra in _extras(), f"ppcjax has no extra {extra!r}"
        else:
            assert name in _declared(), f"{name} is declared nowhere"


@functools.cache
def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _wheel() -> str:
    return f"ppcjax-{__version__}-py3-none-any.whl"


def _extras() -> frozenset[str]:
    return frozenset(_project()["optional-dependencies"])


@functools.cache
def _declared() -> frozenset[str]:
    """Names of packages in pyproject.toml and in all files of requirements."""
    lines = list(_project()["dependencies"])
    for extra in _project()["optional-dependencies"].values():
        lines += extra
    for file in ROOT.glob("requirements*.txt"):
        lines += file.read_text().splitlines()
    found = (re.match(r"[\w.-]+", line) for line in lines if line[:1] not in "#-")
    return frozenset(m[0].lower().replace("_", "-") for m in found if m) | {"pip"}


def _make(words: Sequence[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for word in words:
        if "=" not in word and not word.startswith("-"):
            assert word in targets, f"make {word}: there are {', '.join(targets)}"


def _file(words: Sequence[str]) -> None:
    assert words and (ROOT / words[0]).is_file(), f"there is no {words[:1]}"


def _docker(words: Sequence[str]) -> None:
    if words[:1] == ["build"]:
        given = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-f"]
        for file in given or ["Dockerfile"]:
            assert (ROOT / file).is_file(), f"there is no {file}"


def _nothing(words: Sequence[str]) -> None:
    """Programs of others, whose options their own makers keep."""


OUTSIDE: dict[str, Callable[[Sequence[str]], None]] = {
    "bash": _file,
    "cd": _nothing,
    "docker": _docker,
    "git": _nothing,
    "hf": _nothing,
    "make": _make,
    "kubectl": _nothing,
    "pip": pip,
    "sbatch": _nothing,
    "source": _nothing,
    "uv": lambda words: pip(words[1:]) if words[:1] == ["pip"] else None,
}
