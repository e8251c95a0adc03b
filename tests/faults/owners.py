"""Folders that hold what a person made, and every command that writes somewhere."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax import program
from ppcjax.predict.prototypes import Prototypes
from ppcjax.runs.run import export_run
from ppcjax.runs.there import LIST
from ppcjax.types import UserError
from tests.program.toy import make_run, write_photo


def snapshot(root: Path) -> dict[str, tuple]:
    """Kind, mode, time and content of all that lies below a folder, links as they are.

    The time of a folder is left out: it changes when something is added to it.
    """
    found = {}
    for place in sorted(root.rglob("*")):
        entry = place.lstat()
        kind, content = stat.S_IFMT(entry.st_mode), ""
        if stat.S_ISLNK(kind):
            content = os.readlink(place)
        elif stat.S_ISREG(kind):
            content = hashlib.sha256(place.read_bytes()).hexdigest()
        when = 0 if stat.S_ISDIR(kind) else entry.st_mtime_ns
        found[str(place.relative_to(root))] = (kind, entry.st_mode, when, content)
    return found


class World(NamedTuple):
    """Where a fault is tried.

    root: all of it; also the current folder and the home.
    photos: photos of a person.
    run: the run that predicts.
    """

    root: Path
    photos: Path
    run: Any

    @classmethod
    def made(cls, root: Path) -> "World":
        """A world below a folder that is not there yet."""
        for i in range(3):
            write_photo(root / f"photos/p{i}.png", i)
        for name in ("pred", "truth"):
            shutil.copytree(_masks(root.parent), root / name)
        return cls(root, root / "photos", make_run(root / "run"))


def _masks(root: Path) -> Path:
    folder = root / "masks of all"
    if not folder.exists():
        from tests.program.mask_folders import folder as write

        write(folder, names="background\ncat\ndog\n")
    return folder


class Writer(NamedTuple):
    """Something that writes where it is told to.

    call: (world, place) -> it is done.
    option: word and option of the command; "" for a function of Python.
    is_file: whether the place is a file, whose name ends so; "" for a folder.
    ends: whether the toy can be written by it; else only the refusal is tried.
    """

    call: Callable[[World, Path], None]
    option: str
    is_file: str = ""
    ends: bool = True


def _main(*words: str) -> None:
    program.main(*map(str, words))


def _export(option: str) -> Callable[[World, Path], None]:
    return lambda world, place: _main("eval", "--ckpt=run", f"--{option}={place}")


def _save(world: World, place: Path) -> None:
    del world
    Prototypes(make_run(Path("run")), {"a": np.zeros((1, 2))}, ("a",), 32).save(place)


_SHAPES = ("--config=segment_shapes", "--config.data.size=32")

WRITERS = {
    "eval": Writer(
        lambda world, place: _main(
            "eval", "--ckpt=run", f"--images={world.photos}", f"--export={place}"
        ),
        "eval export",
    ),
    "predict": Writer(
        lambda world, place: _main("predict", "run", world.photos, f"--out={place}"),
        "predict out",
    ),
    "score": Writer(
        lambda world, place: _main("score", "pred", "truth", f"--out={place}"),
        "score out",
    ),
    "score json": Writer(
        lambda world, place: _main("score", "pred", "truth", f"--json={place}"),
        "score json",
        ".json",
    ),
    "inspect": Writer(
        lambda world, place: _main("inspect", *_SHAPES, f"--workdir={place}"),
        "inspect workdir",
    ),
    "train": Writer(
        lambda world, place: _main("train", *_SHAPES, f"--workdir={place}"),
        "train workdir",
        ends=False,
    ),
    "model": Writer(_export("export_model"), "eval export_model", ends=False),
    "weights": Writer(
        _export("export_weights"), "eval export_weights", ".safetensors", ends=False
    ),
    "backbone": Writer(
        _export("export_backbone"), "eval export_backbone", ".safetensors", ends=False
    ),
    "prototypes": Writer(_save, "", ".npz"),
    "export_run": Writer(lambda world, place: export_run("run", place), "", ends=False),
}
FOLDERS = [name for name, writer in WRITERS.items() if not writer.is_file]
FILES = [name for name, writer in WRITERS.items() if writer.is_file]


@contextlib.contextmanager
def said() -> Iterator[io.StringIO]:
    """What is printed on stderr meanwhile."""
    text = io.StringIO()
    with contextlib.redirect_stderr(text), contextlib.redirect_stdout(io.StringIO()):
        yield text


def outcome(call: Callable[[], None]) -> str:
    """The one error with which something is refused; "" where it is done."""
    with said() as text:
        try:
            call()
        except UserError as error:
            return str(error)
        except SystemExit as stop:
            if stop.code in (None, 0):
                return ""
            assert stop.code == 1, f"exit code {stop.code}: {text.getvalue()}"
            *before, line = text.getvalue().splitlines(keepends=True)
            assert line.startswith("error: ") and line.endswith("\n"), line
            assert not any("error" in one for one in before), before
            return line
    return ""


# -- what a person may have put where something is to be written ----------------------


def _text(place: Path, name: str, content: str = "mine\n") -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(content)


def _other_program(place: Path) -> None:
    """Results of another program whose files are called like ours."""
    _text(place, "metrics.json", '{"accuracy": 0.9}')
    _text(place, "provenance.json", '{"by": "me"}')
    _text(place, "masks/p0.png")


def _linked(place: Path, *, folder: bool) -> None:
    _text(place.parent / "elsewhere", "p0.png")
    place.mkdir()
    if folder:
        (place / "masks").symlink_to(place.parent / "elsewhere")
    else:
        (place / "report.html").symlink_to(place.parent / "elsewhere/p0.png")


def _as_link(place: Path) -> None:
    _text(place.parent / "elsewhere", "masks/p0.png")
    place.symlink_to(place.parent / "elsewhere")


def _loop(place: Path) -> None:
    place.symlink_to(place.name)


def _another_kind(place: Path) -> None:
    _text(place, LIST, json.dumps({"ppcjax": 1, "kind": "something"}) + "\n")


def _many(*names: str) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        for name in names:
            _text(place, name)

    return make


# What is in a folder that must not be written to.
TAKEN: dict[str, Callable[[Path], None]] = {
    "masks of the same names": _many("masks/p0.png", "overlays/p0.jpg"),
    "a note": _many("notes.txt"),
    "a file deep below": _many("a/b/c/d.txt"),
    "a folder": lambda place: (place / "mine").mkdir(parents=True),
    "names of our files": _many("metrics.json", "photos.csv", "report.html"),
    "files of another program": _other_program,
    "a note of another program": _many("finished.jsonl", "masks/p1.png"),
    "lists of another program": lambda place: _text(
        place, "finished.jsonl", '{"id": 1}\n'
    ),
    "checkpoints of another program": _many("checkpoints/500/model.pt", "log.txt"),
    "settings of another program": lambda place: _text(
        place, "config.json", '{"name": "theirs", "model_type": "bert"}'
    ),
    "a log": _many("log.txt"),
    "a predictor of another program": _many("model.json", "README.md"),
    "figures": _many("tensorboard/events", "metrics.jsonl"),
    "a link to a folder": lambda place: _linked(place, folder=True),
    "a link to a file": lambda place: _linked(place, folder=False),
    "a link to a full folder": _as_link,
    "a link to itself": _loop,
    "a link that leads nowhere": lambda place: place.symlink_to("nowhere"),
    "a file": lambda place: place.write_text("mine"),
    "a pipe": os.mkfifo,
    "a folder of another kind": _another_kind,
    "a name of two lines": _many("line\nerror: \x1b[31mred"),
    "a damaged list": lambda place: (_text(place, LIST, "x"), _text(place, "a.txt")),
}
# What is in one that may be written to.
FREE: dict[str, Callable[[Path], None]] = {
    "nothing": lambda place: None,
    "an empty folder": lambda place: place.mkdir(),
    "leavings": _many(".DS_Store", "Thumbs.db", "desktop.ini", ".git/config"),
    "a link to an empty folder": lambda place: (
        (place.parent / "other").mkdir(),
        place.symlink_to("other"),
    ),
}


def _same_size(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"mine")


def _replaced(file: Path) -> None:
    file.rename(file.with_name("moved aside"))
    file.symlink_to("moved aside")


def _beside(file: Path) -> None:
    file.with_name("mine.png").write_text("mine")


# What a person does to a file in a folder of ours.
CHANGES = (_same_size, _longer, _replaced, _beside)
