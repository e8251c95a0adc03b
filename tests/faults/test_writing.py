"""Disks, file by file: what is written is whole or not there, and the reason a line."""

import contextlib
import io
import os
import re
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from ppcjax import program
from ppcjax.console import disk, writing
from ppcjax.evaluate import predicting
from ppcjax.predict import masks
from ppcjax.predict.prototypes import Prototypes
from ppcjax.runs import files
from ppcjax.runs.there import LIST
from ppcjax.train import inspection
from ppcjax.train.board import Board
from ppcjax.train.log import Log
from ppcjax.types import UserError
from tests import folder_photos
from tests.faults import disks
from tests.faults.held import Fault, all_held, cycled, sizes, some_break
from tests.program import toy

OLD, NEW = b"old\n", b"new\n" * 5000
CODES = {**disks.CODES, "disk full": 28, "too large": 27, "too many open": 24, "no": 13}
CALLS = ("write", "open", "replace", "mkdir")


def _board(file: Path) -> None:
    with contextlib.closing(Board(file.parent / "board", 0)) as board:
        board.add(1, {"loss": 1.0})


def _logged(file: Path) -> None:
    with contextlib.closing(Log(file.parent)) as log:
        log.line("a line")
        log.need_file()


def _appended(file: Path) -> None:
    with contextlib.closing(writing.Appending(file)) as appending:
        appending.write(NEW)


# What writes a file or several into its folder.
WRITERS = {
    "file": lambda file: files.write_file(file, NEW),
    "json": lambda file: files.write_json(file, {"a": [1] * 9000}),
    "array": lambda file: writing.write_array(file, np.arange(9000)),
    "appended": _appended,
    "board": _board,
    "log": _logged,
    "looked at": files.check_writable,
    "note": lambda file: files.note_json(file, {"a": 1}) or _not_noted(file),
}


def _not_noted(file: Path) -> None:
    raise disk.CannotWrite(file, disk.Refusal("not noted", "nothing"))


class Refused(NamedTuple):
    """A call of the system that is refused while a writer writes.

    writer: which one.
    call: name in the module os.
    code: with which number.
    """

    writer: str
    call: str
    code: int


FAULTS = [
    Fault(f"{writer}, {call}: {name}", Refused(writer, call, code))
    for writer in WRITERS
    for call in CALLS
    for name, code in CODES.items()
]


def refused(fault: Refused, folder: Path) -> None:
    """Writes beside and over a file while one call is refused, and then again."""
    file = folder / "file"
    for old in folder.iterdir():
        disks.shutil.rmtree(old) if old.is_dir() else old.unlink()
    file.write_bytes(OLD)
    with (
        disks.refusing(folder, fault.code, (fault.call,)),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            WRITERS[fault.writer](file)
        except UserError as error:
            said = str(error)
            assert "\n" not in said and str(folder) in said, said
            assert file.read_bytes() == OLD, "the old file is not what it was"
        else:
            whole = file.read_bytes() != OLD or fault.writer in ("board", "looked at")
            assert whole or fault.writer in ("log", "looked at"), "not a word"
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not left, f"left behind: {left}"
    with contextlib.redirect_stderr(io.StringIO()):
        WRITERS[fault.writer](file)


@sizes(quick=60, slow=len(FAULTS))
def test_writers(count, tmp_path, record_property):
    all_held(
        "disk, writers",
        cycled(FAULTS, count),
        lambda fault: refused(fault, tmp_path),
        record_property,
    )


def test_a_writer_that_writes_in_place_breaks(tmp_path):
    def in_place(path, content):
        with path.open("wb") as file:
            os.write(file.fileno(), content[:5])
            os.replace(path, path)
            raise writing.cannot_write(path, OSError(28, "full"))

    planted = [fault for fault in FAULTS if fault.value[:2] == ("file", "replace")]
    with mock.patch.object(files, "write_file", in_place):
        some_break(planted, lambda one: refused(one, tmp_path), "whole files")


def test_what_is_added_in_part_is_taken_back(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(OLD)
    real, written = os.write, []

    def partly(descriptor, content):
        if written:
            raise OSError(28, os.strerror(28))
        written.append(real(descriptor, bytes(content[:7])))
        return 7

    appending = writing.Appending(file)
    with mock.patch.object(os, "write", partly), pytest.raises(disk.CannotWrite):
        appending.write(NEW)
    assert written and file.read_bytes() == OLD
    appending.write(NEW)
    assert file.read_bytes() == OLD + NEW
    file.unlink()
    appending.write(NEW)
    assert file.read_bytes() == NEW


# What writes past `console.writing`, and why it may.
_MAY = {
    "ppcjax/console/raw.py": "descriptor 2, for libraries in C++",
    "ppcjax/runs/digests.py": "in a step that has no name yet, forced to the disk",
    "ppcjax/predict/export/card.py": "an example, in words",
    "ppcjax/predict/supports.py": "an example, in words",
}
_WRITES = re.compile(
    r"\.write_text\(|\.write_bytes\(|open\([^)\n]*[\"'][wax]b?[\"']|np\.save\w*\((?!content|$)"
    r"|shutil\.(copy|move)|tempfile\.|\.save\((?!content|path|state|step|$)"
)


def test_nobody_writes_past_the_one_writer():
    root = Path(writing.__file__).parents[2]
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for folder in ("ppcjax", "data_pipelines")
        for path in sorted((root / folder).rglob("*.py"))
        if str(path.relative_to(root)) not in {"ppcjax/console/writing.py", *_MAY}
        for line in path.read_text().splitlines()
        if _WRITES.search(line) and not line.lstrip().startswith("#")
    ]
    assert not found


# --- commands on a real small file system --------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos and masks in one folder, and a small disk beside it."""
    root = tmp_path_factory.mktemp("commands")
    for name in ("photos", "pred", "truth"):
        (root / name).mkdir()
    folder_photos.write(root / "photos")
    rng = np.random.default_rng(0)
    for name in ("pred", "truth"):
        for i in range(3):
            mask = rng.integers(0, 3, (20, 24), dtype=np.uint8)
            Image.fromarray(mask).save(root / name / f"{i}.png")
    with disks.small(root / "disk"):
        yield root


def _score(place: Path, *words: str) -> None:
    program.main("score", str(place / "pred"), str(place / "truth"), *words)


def _inspect(place: Path) -> None:
    from ppcjax.configs import ppc_folder

    config = ppc_folder.get_config()
    config.data.root = str(place / "photos")
    inspection.inspect(config, place / "disk" / "run")


def _arrays(place: Path) -> None:
    with mock.patch("tempfile.tempdir", str(place / "disk")):
        masks.as_masks([np.eye(99, dtype=np.uint8)], ())


def _predict(place: Path) -> None:
    run = toy.make_run(place / "run")
    with (
        mock.patch.object(predicting.opening, "open_any", lambda *_, **__: run),
        mock.patch.object(program.cli, "keep_compiled_programs", lambda: None),
    ):
        words = (str(place / "photos"), f"--out={place}/disk/predicted")
        program.main("predict", "run", *words, "--limit=2")


def _prototypes(place: Path) -> None:
    arrays = {"x": np.random.default_rng(0).random(9000)}
    run = toy.make_run(place / "run")
    Prototypes(run, arrays, ("a",), 24).save(place / "disk" / "a.npz")


COMMANDS = {
    "predict": _predict,
    "prototypes": _prototypes,
    "score --out": lambda place: _score(place, f"--out={place}/disk/out"),
    "score --json": lambda place: _score(place, f"--json={place}/disk/figures.json"),
    "inspect": _inspect,
    "temporary files": _arrays,
}
TROUBLES = {
    "full": lambda place: disks.full(place / "disk"),
    "nearly full": lambda place: disks.full(place / "disk", 4096),
    "read-only": lambda place: disks.read_only(place / "disk"),
    "a limit": lambda place: disks.limited(disks.resource.RLIMIT_FSIZE, 60),
}
ON_DISKS = [
    Fault(f"{command}: {trouble}", (command, trouble))
    for command in COMMANDS
    for trouble in TROUBLES
]


def _left(disk_folder: Path) -> list[Path]:
    """What no command may leave; a list alone says that the folder is ours."""
    return [path for path in disk_folder.rglob(".*") if path.name != LIST]


def commanded(what: tuple[str, str], place: Path) -> None:
    command, trouble = what
    out, err = io.StringIO(), io.StringIO()
    for old in (place / "disk").iterdir():
        disks.shutil.rmtree(old) if old.is_dir() else old.unlink()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        with TROUBLES[trouble](place):
            try:
                COMMANDS[command](place)
            except SystemExit as end:
                assert end.code == 1
                said = err.getvalue().removeprefix("error: ").rstrip("\n")
            except UserError as error:
                said = str(error)
            else:
                raise AssertionError("not a word")
        assert not _left(place / "disk"), "left behind by what failed"
        COMMANDS[command](place)  # also where a list is all that was written
    assert said and "\n" not in said, said
    assert str(place / "disk") in said, said
    assert "another folder" in said, said
    assert not _left(place / "disk"), "left behind"


@sizes(quick=6, slow=len(ON_DISKS))
def test_commands(count, place, record_property):
    all_held(
        "disk, commands",
        cycled(ON_DISKS, count),
        lambda what: commanded(what, place),
        record_property,
    )
