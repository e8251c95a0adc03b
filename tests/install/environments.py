"""Environments outside of the checkout, with the wheel and what it declares."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.install.building import ROOT

# What another program may well call its own folders and files.
CLASHING = ("configs", "data_pipelines", "tests", "docs")
_SCAN = """
import importlib, json, pkgutil, sys
import ppcjax
failed, count = {}, 0
packages = [ppcjax]
names = ["ppcjax.configs", "ppcjax.data_pipelines"]
names += [m.name for m in pkgutil.walk_packages(ppcjax.__path__, "ppcjax.")]
for name in sorted(set(names)):
    try:
        importlib.import_module(name)
        count += 1
    except ModuleNotFoundError as error:
        failed[name] = error.name
print(json.dumps({"failed": failed, "count": count, "file": ppcjax.__file__,
    "heavy": sorted({"tensorflow", "torch"} & set(sys.modules))}))
"""


class Environment(NamedTuple):
    """A Python of its own, and a folder to type commands in."""

    version: str
    folder: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, wheel: Path, extra: str = "") -> None:
        """Installs the wheel with an extra, with uv where there is one."""
        what = f"{wheel}[{extra}]" if extra else str(wheel)
        uv = shutil.which("uv")
        first = [uv, "pip", "install", "--python", self.python]
        if not uv:
            first = [self.python, "-I", "-m", "pip", "install"]
        self._done([*first, "-q", what])

    def check(self) -> str:
        """What `pip check` says."""
        uv = shutil.which("uv")
        words = [uv, "pip", "check", "--python", self.python]
        return self._done(words if uv else [self.python, "-I", "-m", "pip", "check"])

    def distributions(self) -> set[str]:
        """Names of all that is installed."""
        code = (
            "import importlib.metadata as m, json; "
            "print(json.dumps([d.metadata['Name'] for d in m.distributions()]))"
        )
        return set(json.loads(self.code(code)))

    def scan(self) -> Mapping:
        """Imports every module; says which could not be, and for want of what."""
        return json.loads(self.code(_SCAN).splitlines()[-1])

    def megabytes(self) -> float:
        """What its libraries take, in 2^20 bytes, but for the installer itself."""
        (libraries,) = self.folder.glob("lib/python*/site-packages")
        files = (f for f in libraries.rglob("*") if f.is_file() and not f.is_symlink())
        own = (f for f in files if f.relative_to(libraries).parts[0][:3] != "pip")
        return sum(f.stat().st_size for f in own) / 2**20

    def ppcjax(self, *words: object) -> subprocess.CompletedProcess:
        """Types a command."""
        return self._run([self.folder / "bin" / "ppcjax", *words])

    def module(self, *words: object) -> subprocess.CompletedProcess:
        """Starts a module as a program."""
        return self._run([self.python, "-I", "-m", *words])

    def code(self, text: str) -> str:
        """What a program prints."""
        return self._done([self.python, "-I", "-c", text])

    def _done(self, words: list) -> str:
        done = self._run(words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def _run(self, words: list) -> subprocess.CompletedProcess:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
        return subprocess.run(
            [str(word) for word in words],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=600,
            env=kept
            | {
                "JAX_PLATFORMS": "cpu",
                "JAX_NUM_CPU_DEVICES": "1",
                "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
            },
        )


def make(version: str, python: str, folder: Path) -> Environment:
    """An empty one, and beside it a folder full of names that ppcjax has, too."""
    home = folder / "home"
    for name in CLASHING:
        (home / name).mkdir(parents=True)
        (home / name / "__init__.py").write_text("raise ImportError('not ours')\n")
    for name in ("train.py", "eval.py", "jax.py", "types.py"):
        (home / name).write_text("raise ImportError('not ours')\n")
    made = [python, "-m", "venv", str(folder / "environment")]
    subprocess.run(made, check=True, capture_output=True)
    return Environment(version, folder / "environment", home)
