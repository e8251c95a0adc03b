"""The wheel and the source archive: what lies in them, and that both agree."""

import importlib.metadata
import tarfile
import zipfile

import pytest

import ppcjax
from ppcjax import checkout
from tests.install.building import ROOT, built

# Beside the three folders, what a source archive holds.
ARCHIVED = {
    *("train.py", "eval.py", "pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md"),
    *(".gitignore", "PKG-INFO"),
    *(file.name for file in ROOT.glob("requirements*.txt")),
} - {f"requirements-{name}.txt" for name in ("dev", "docs", "torch")}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Wheel and source archive of the checkout."""
    return built(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def files(archives):
    """Files of the wheel by name."""
    return contents(archives.wheel)


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_no_top_level_name_but_ppcjax(files):
    info = f"ppcjax-{ppcjax.__version__}.dist-info"
    assert {name.partition("/")[0] for name in files} == {"ppcjax", info}


def test_all_that_the_program_reads_is_in_the_wheel(files):
    """Modules, templates, tables: what lies in the three folders and no leavings."""
    expected = set()
    for folder in ("ppcjax", *checkout.BESIDE):
        inside = "" if folder == "ppcjax" else "ppcjax/"
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected.add(inside + path.relative_to(ROOT).as_posix())
    assert {name for name in files if name.startswith("ppcjax/")} == expected
    assert len(expected) > 200


@pytest.mark.slow
def test_the_archive_makes_the_same_wheel(archives, files, tmp_path):
    with tarfile.open(archives.source) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"ppcjax-{ppcjax.__version__}"
    (tmp_path / "again").mkdir()
    again = built(folder, tmp_path / "again")
    assert contents(again.wheel) == files
    there = {path.name for path in folder.iterdir()}
    assert there == ARCHIVED | {"ppcjax", *checkout.BESIDE}
    # Those of the tests are ten times as large, and all of them need a checkout.
    assert archives.source.stat().st_size < 2_000_000


def test_the_command_and_the_version_stand_in_its_metadata(archives, files):
    info = f"ppcjax-{ppcjax.__version__}.dist-info"
    assert b"ppcjax = ppcjax.program:main" in files[f"{info}/entry_points.txt"]
    (found,) = importlib.metadata.distributions(path=[str(archives.wheel)])
    assert found.version == ppcjax.__version__
    assert set(found.metadata.get_all("Provides-Extra")) >= {
        *checkout.EXTRAS.values(),
    }


def test_it_can_be_installed_in_place(archives):
    """`pip install -e .` puts the checkout on the path, under the names that it has."""
    place = contents(archives.editable)["_ppcjax.pth"].decode().split()
    assert place == [str(ROOT)]
