"""The Dockerfile: built where there is a server, else held to its own words."""

import fnmatch
import json
import re
import shutil
import subprocess
import tomllib

import pytest

import ppcjax
from tests.install import pythons
from tests.install.building import ROOT

FILE = ROOT / "Dockerfile"
KNOWN = {"ARG", "FROM", "COPY", "RUN", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


@pytest.fixture(scope="module")
def instructions():
    """Pairs of an instruction and what follows it; a line may go on over several."""
    text = re.sub(r"(?m)^\s*#.*\n", "", FILE.read_text()).replace("\\\n", " ")
    words = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(name, re.sub(r"\s+", " ", rest)) for name, _, rest in words]


@pytest.fixture(scope="module")
def arguments(instructions):
    """Build arguments and their defaults."""
    return dict(rest.split("=", 1) for name, rest in instructions if name == "ARG")


def test_every_instruction_is_known_and_every_argument_is_used(instructions, arguments):
    assert {name for name, _ in instructions} == KNOWN
    for argument in arguments:
        used = [rest for _, rest in instructions if f"${{{argument}}}" in rest]
        assert used, f"{argument} does nothing"
    used = set(re.findall(r"\$\{(\w+)\}", str(instructions)))
    assert used == set(arguments)


def test_its_python_and_extras_are_those_of_the_project(arguments):
    assert arguments["PYTHON"] in pythons.supported()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"EXTRAS=([\w,]+)", FILE.read_text())
    assert len(named) == 2
    for extras in named:
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    versions = [r for r in project["dependencies"] if r.startswith("jax")]
    assert len(versions) == 1 and arguments["JAX"] == "jax"


def test_it_runs_as_nobody_special_and_is_the_program(instructions):
    last = dict(instructions)  # of each kind, as Docker takes them
    # A number, so that a cluster can see that it is not root.
    assert last["USER"].isdigit() and last["USER"] != "0"
    assert f"--uid {last['USER']} " in last["RUN"], "the user is made"
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(i for i, n in enumerate(names) if n == "RUN")
    assert json.loads(last["ENTRYPOINT"]) == ["ppcjax"]
    assert json.loads(last["CMD"]) == ["--help"]


def test_what_the_wheel_is_made_of_is_sent_and_nothing_else():
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    there = {path.name for path in ROOT.iterdir()}
    sent = {n for n in there if not any(fnmatch.fnmatch(n, rule) for rule in rules)}
    sent |= {rule[1:] for rule in rules if rule.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    needed = {*wheel, "pyproject.toml"}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    assert sent == needed


@pytest.mark.slow
def test_it_is_built():
    """Where `docker info` answers a server."""
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no docker here")
    info = [docker, "info", "--format", "{{.ServerVersion}}"]
    asked = subprocess.run(info, capture_output=True, text=True, timeout=60)
    if asked.returncode or not asked.stdout.strip():
        pytest.skip("docker has no server here")
    build = [docker, "build", "-q", "--build-arg", "EXTRAS=photos", str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    said = subprocess.check_output([docker, "run", "--rm", image, "--version"])
    assert said.decode() == f"ppcjax {ppcjax.__version__}\n"
