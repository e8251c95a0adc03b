"""What may import what, how long a file may be, and what training may need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the bottom up; every other module of ppcjax stands above these.
ORDER = ("types", "ops", "nn", "losses", "methods")
SOURCES = sorted(
    path
    for folder in ("ppcjax", "data_pipelines", "configs", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
) + sorted(ROOT.glob("*.py"))


def _imports(path):
    """Full names that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _level(name):
    """Place of a module such as "ppcjax.ops.cam" in the order."""
    part = name.split(".")[1]
    return ORDER.index(part) if part in ORDER else len(ORDER)


def _own(folder):
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


@pytest.mark.parametrize("path", _own("ppcjax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_ppcjax_imports_downwards_only(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for name in _imports(path):
        package = name.split(".")[0]
        assert package not in ("configs", "benchmarks", "tests", "train", "eval"), name
        if package == "ppcjax" and module != "ppcjax.__init__":
            assert _level(name) <= _level(module), f"{module} imports {name}"
        if package == "data_pipelines":
            assert _level(module) == len(ORDER), f"{module} imports {name}"


def test_data_pipelines_import_only_types_and_fields_of_ppcjax():
    for path in _own("data_pipelines"):
        for name in _imports(path):
            assert name.split(".")[0] not in ("configs", "benchmarks", "tests"), path
            if name.split(".")[0] == "ppcjax":
                own = ("ppcjax.types.", "ppcjax.fields", "ppcjax.data_pipelines")
                assert name.startswith(own), f"{path} imports {name}"


def test_ops_know_no_flax():
    for path in _own("ppcjax/ops"):
        assert not [name for name in _imports(path) if name.split(".")[0] == "flax"]


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert not {str(path): n for path, n in lengths.items() if n > 300}


def test_training_needs_no_data_libraries():
    """A machine that only trains has neither TensorFlow nor the config library."""
    program = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "ml_collections"):
    sys.modules[name] = None  # an import of it raises ImportError
import ppcjax, ppcjax.methods, ppcjax.losses, ppcjax.weights, ppcjax.train.step
import ppcjax.refine.crf, ppcjax.refine.crf_jax
from ppcjax import ops, nn
method = ppcjax.methods.make({"name": "ppc", "backbone": "small_resnet"}, 3)
print(method.init is not None)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == "True\n", done.stderr
