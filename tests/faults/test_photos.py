"""Photos and masks of any content, and what lies among photos and is none."""

import ast
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcjax import program
from ppcjax.data_pipelines import images, pictures
from ppcjax.data_pipelines import regular as opened
from ppcjax.evaluate import predicting
from ppcjax.types import UserError
from tests.faults import pictures as bad
from tests.faults import reading
from tests.faults.held import Fault, all_held, drawn, sizes, some_break
from tests.program.toy import make_run, write_photo

ROOT = Path(__file__).resolve().parents[2]


def picture(rng):
    kinds = {f"{n} as photo": (n, bad.PHOTOS, "photos") for n in bad.PHOTOS}
    kinds |= {f"{n} as mask": (n, bad.MASKS, "masks") for n in bad.MASKS}
    name = list(kinds)[int(rng.integers(len(kinds)))]
    key, table, folder = kinds[name]
    make, suffix, refused = table[key]
    return Fault(name, (make(rng), suffix, refused, folder))


def read_all(folder, faults):
    """What came of each, read by one process; a program that starts leaves a file."""
    files = []
    for number, fault in enumerate(faults):
        content, suffix, _, place = fault.value
        file = folder / place / f"{number}{suffix}"
        file.parent.mkdir(exist_ok=True)
        bad.write(file, content)
        files.append(str(file))
    for name in ("gs", "gswin64c", "gzip", "djpeg", "cjpeg"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {folder}/started\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.reading", *files],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert not (folder / "started").exists(), "another program was started"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        Fault(fault.name, (fault.value[2], what, file))
        for fault, what, file in zip(faults, found, files, strict=True)
    ]


def is_bounded(value):
    refused, found, file = value
    assert "raised" not in found, found
    assert found["MB"] < reading.MEMORY and found["seconds"] < reading.SECONDS, found
    if refused:
        assert "refused" in found, found
    if "refused" in found:
        said = found["refused"]
        assert file in said and said.isprintable() and len(said) < 600, said


@sizes(quick=8, slow=60, long=400)
def test_pictures(tmp_path, count, record_property):
    faults = list(drawn(picture, count))
    all_held("pictures", read_all(tmp_path, faults), is_bounded, record_property)


def test_without_the_check_of_headers_pictures_break(monkeypatch):
    def attempt(content):
        try:
            images.read_photo(content, "a.tif")
        except UserError as error:
            assert "tiles" in str(error), error
        else:
            raise AssertionError("it was read")

    make = bad.PHOTOS["TIFF of large tiles"][0]
    fault = Fault("tiles", make(np.random.default_rng(0)))
    attempt(fault.value)
    monkeypatch.setattr(pictures, "_check_tiles", lambda _: None)
    some_break([fault], attempt, "the check of tiles")


@contextlib.contextmanager
def at_most(seconds):
    """Raises TimeoutError where something waits."""

    def late(*_):
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _socket(place):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(place.parent):
        made.bind(place.name)


def _two_links(place):
    other = place.with_name(f"other_{place.name}")
    place.symlink_to(other.name)
    other.symlink_to(place.name)


def _two_folders(place):
    for one, two in (("x", "y"), ("y", "x")):
        (place / one).mkdir(parents=True, exist_ok=True)
        (place / one / "to").symlink_to(f"../{two}")
        (place / one / "up").symlink_to("../..")


STRANGE = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": lambda p: p.symlink_to("/dev/zero"),
    "a terminal": lambda p: p.symlink_to("/dev/tty"),
    "a link to itself": lambda p: p.symlink_to(p.name),
    "links to each other": _two_links,
    "a link to nowhere": lambda p: p.symlink_to("nowhere"),
    "a link to its folder": lambda p: p.symlink_to("."),
    "a link to the folder above": lambda p: p.symlink_to(".."),
    "folders that lead to each other": _two_folders,
    "a folder": lambda p: p.mkdir(),
    "a log of the kernel": lambda p: p.symlink_to("/proc/kmsg"),
}
NAMES = ("a.jpg", "tags.csv", "classes.txt", "b.json", "c.xml", "masks", "data.yaml")


def strange(rng):
    kind = list(STRANGE)[int(rng.integers(len(STRANGE)))]
    name = NAMES[int(rng.integers(len(NAMES)))]
    given = ("p", "p/**", "p/*", f"p/{name}", "p/**/*.png")[int(rng.integers(5))]
    word = ("predict", "inspect", "score")[int(rng.integers(3))]
    return Fault(f"{kind} called {name}, {word} {given}", (kind, name, word, given))


@pytest.fixture
def place(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")
    monkeypatch.setattr(predicting.opening, "open_any", lambda *_, **__: run)
    monkeypatch.setattr(program.cli, "keep_compiled_programs", lambda: None)
    return tmp_path


def tried(place, monkeypatch, capsys):
    number = iter(range(10**6))

    def attempt(value):
        kind, name, word, given = value
        here = place / str(next(number))
        write_photo(here / "p/ok.png")
        monkeypatch.chdir(here)
        STRANGE[kind](Path("p", name))
        words = {"predict": ["run", given, "--out=o"], "inspect": ["p"]}
        words["score"] = [given, "p", "--classes=background,a"]
        capsys.readouterr()
        code = 0
        try:
            with at_most(60):
                program.main(word, *words[word])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        if code:
            assert said.err.count("error: ") <= 1, said.err
            assert "error: " in said.err or word == "inspect", said.err
        elif word == "predict" and given in ("p", "p/**") and kind != "a folder":
            assert name in said.out or "other_" in said.out or "to" in said.out, said

    return attempt


@sizes(quick=6, slow=60, long=300)
def test_what_is_no_file(count, place, monkeypatch, capsys, record_property):
    attempt = tried(place, monkeypatch, capsys)
    all_held("what is no file", drawn(strange, count), attempt, record_property)


def test_without_the_check_of_files_a_pipe_is_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.jpg")

    def attempt(file):
        try:
            opened.read_start(file, 3)
        except OSError as error:
            assert "pipe" in str(error), error
        else:
            raise AssertionError("it was read")

    attempt(tmp_path / "a.jpg")
    monkeypatch.setattr(opened, "_check", lambda *_: None)
    some_break([Fault("pipe", tmp_path / "a.jpg")], attempt, "the check of files")


# Who may open files, below data_pipelines.
OPENERS = {"regular.py", "pictures.py"}


def test_no_module_opens_files_of_its_own():
    """All go through `regular` and `pictures`; np.load reads what a run has written."""
    for file in (ROOT / "data_pipelines").rglob("*.py"):
        if file.name in OPENERS:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            assert called not in ("open", "Image.open", "io.open", "os.open"), file
            assert last not in ("read_bytes", "imread") or called == last, file
            assert last != "read_text" or called in ("read_text", "texts.read_text"), (
                file
            )
