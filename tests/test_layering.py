"""What may import what, how long things may be, and what training may need."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The floors of ppcjax from the bottom up; a module imports from its own or below.
FLOORS = (
    ("errors", "version", "types", "fields", "checkout", "console"),
    ("ops",),
    ("nn",),
    ("losses",),
    ("methods",),
    ("frozen",),
    ("runs",),
    ("weights",),
    ("predict",),
    ("report",),
    ("refine",),
    ("train",),
    ("cli",),
    ("evaluate",),
    ("label",),
    ("program", "__main__"),
)
LEVELS = {name: level for level, floor in enumerate(FLOORS) for name in floor}
# Beside the floors: folders that ppcjax finds next to itself.
DATA, CONFIGS = "data_pipelines", "configs"
READS_DATA = ("predict", "train", "evaluate", "label")
FOLDERS = ("ppcjax", DATA, CONFIGS, "benchmarks", "tests")
SOURCES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
) + sorted(ROOT.glob("*.py"))


def _imports(path):
    """Full names that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own(folder):
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", _own("ppcjax"), ids=_name)
def test_ppcjax_imports_downwards_only(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    floor = parts[1]
    if floor == "__init__":
        return  # the front door names what stands above
    assert floor in LEVELS, f"{floor} stands on no floor"
    for name in _imports(path):
        first, *rest = name.split(".")
        assert first not in (*FOLDERS[1:], "train", "eval"), f"{path} imports {name}"
        if first != "ppcjax":
            continue
        target = rest[0]
        if target == DATA:
            assert floor in READS_DATA, f"{path} imports {name}"
        else:
            assert target != CONFIGS, f"{path} imports {name}"
            assert LEVELS[target] <= LEVELS[floor], f"{path} imports {name}"


def test_data_pipelines_never_see_a_model():
    for path in _own(DATA):
        for name in _imports(path):
            first, *rest = name.split(".")
            assert first not in FOLDERS[1:], f"{path} imports {name}"
            if first == "ppcjax":
                assert rest[0] in ("types", "fields", "checkout", "console", DATA), (
                    f"{path} imports {name}"
                )


def test_ops_know_no_flax():
    for path in _own("ppcjax/ops"):
        assert not [name for name in _imports(path) if name.split(".")[0] == "flax"]


def test_few_modules_at_the_root():
    assert len(list((ROOT / "ppcjax").glob("*.py"))) <= 8


def test_files_are_short():
    lengths = {_name(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: n for path, n in lengths.items() if n > 300}


def _functions():
    """Name and node of every function of the program.

    Tests are not among them, nor configs, which are tables with a function around.
    """
    for path in SOURCES:
        if any(path.is_relative_to(ROOT / part) for part in ("tests", CONFIGS)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{_name(path)}:{node.name}", node


def _body_lines(node):
    body = node.body
    if ast.get_docstring(node) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    lengths = {name: _body_lines(node) for name, node in _functions()}
    assert not {name: n for name, n in lengths.items() if n > 60}


def test_argument_lists_are_short():
    """At most 15; settings that belong together are a group, a dataclass."""
    counts = {
        name: len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
        for name, node in _functions()
    }
    assert not {name: n for name, n in counts.items() if n > 15}


def _argument_lines(node):
    """Lines "name: text" of a docstring."""
    text = ast.get_docstring(node) or ""
    return re.findall(r"^ *\**\w+(?:, \**\w+)*: .*$", text, re.MULTILINE)


def test_argument_lines_stand_alone():
    """A line that begins with "of" or "see" needs another one to be understood."""
    unclear = re.compile(r"^[\w *,]*: (of|as|see|likewise)\b", re.IGNORECASE)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found = [
        f"{_name(path)}: {line.strip()}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, kinds)
        for line in _argument_lines(node)
        if unclear.match(line)
    ]
    assert not found


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
