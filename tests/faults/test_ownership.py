"""Nothing of a person's is written over, wherever results are sent."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ppcjax import program
from ppcjax.data_pipelines.episodes.plans import count_pixels
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.runs import ours, single
from ppcjax.types import UserError
from tests.faults import owners
from tests.faults.held import Fault, all_held, drawn, sizes, some_break
from tests.faults.owners import CHANGES, FREE, TAKEN, WRITERS, World, snapshot

FOLDERS = owners.FOLDERS
# Writers that keep a list of their files.
LISTED = ("eval", "predict", "score")


@pytest.fixture(scope="module")
def trier(tmp_path_factory):
    """What tries a fault in a world of its own, in which every RUN is the toy."""
    from ppcjax.evaluate import opening

    root = tmp_path_factory.mktemp("ownership")
    world, before = World.made(root / "world"), os.getcwd()
    fresh, count = snapshot(world.root), [0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_any", lambda *_, **__: world.run)
        patch.setattr(program.cli, "keep_compiled_programs", lambda: None)
        patch.setenv("HOME", str(world.root))
        patch.chdir(world.root)

        def place() -> Path:
            count[0] += 1
            here = root / str(count[0])
            here.mkdir()
            return here / "out"

        yield Trier(world, place)
        assert snapshot(world.root) == fresh, "something was written elsewhere"
    os.chdir(before)


class Trier:
    """Tries faults; each in a folder of its own."""

    def __init__(self, world, place):
        self.world, self.place, self.made = world, place, {}

    def write(self, name: str, place: Path) -> str:
        """The line with which a writer refuses a place; "" where it is done."""
        return owners.outcome(lambda: WRITERS[name].call(self.world, place))

    def written(self, name: str) -> Path:
        """What a writer makes of an empty place, once."""
        if name not in self.made:
            self.made[name] = self.place()
            assert self.write(name, self.made[name]) == "", "the toy cannot be written"
        return self.made[name]

    def taken(self, value) -> None:
        """A place where something lies: one line names it, and nothing changes."""
        name, what = value
        place = self.place()
        TAKEN[what](place)
        before = snapshot(place.parent)
        line = self.write(name, place)
        assert snapshot(place.parent) == before, f"{what}: changed"
        assert line, f"{what}: not refused"
        assert str(place) in line and line.isprintable() or line[:-1].isprintable()

    def free(self, value) -> None:
        """A place where nothing of anybody lies: it is done, and all stays."""
        name, what = value
        place = self.place()
        FREE[what](place)
        before = snapshot(place.parent)
        assert self.write(name, place) == "", what
        after = snapshot(place.parent)
        assert {k: after.get(k) for k in before} == before, f"{what}: changed"
        assert self.write(name, place) == "", "not the second time"

    def changed(self, value) -> None:
        """A folder of ours in which a person changed a file, or put one of theirs."""
        name, change, seed = value
        place = self.place()
        shutil.copytree(self.written(name), place)
        files = [f for f in sorted(place.rglob("*")) if f.is_file()]
        files = [f for f in files if f.name[0] != "." and f.name != "finished.jsonl"]
        file = files[seed % len(files)]
        change(file)
        before = snapshot(place)
        line = self.write(name, place)
        after = snapshot(place)
        theirs = [k for k in before if Path(k).name in (file.name, "mine.png")]
        for key in (*theirs, *(k for k in before if "moved aside" in k)):
            assert after.get(key) == before[key], f"{change.__name__} {file}: {key}"
        # What is not predicted again may stay as it is without a word.
        assert line or name == "predict", f"{change.__name__} of {file}: not refused"

    def file(self, value) -> None:
        """A single file that is somebody else's."""
        name, what = value
        place = self.place().with_name(f"out{WRITERS[name].is_file}")
        FILES[what](place)
        before = snapshot(place.parent)
        line = self.write(name, place)
        assert snapshot(place.parent) == before, f"{what}: changed"
        assert str(place) in line, f"{what}: {line!r}"


def _safetensors(place: Path) -> None:
    save_file({"a": np.zeros(2, np.float32)}, place, {"format": "pt", "mine": "1"})


def _npz(place: Path) -> None:
    np.savez(place.with_suffix(".npz"), a=np.zeros(2))
    place.with_suffix(".npz").rename(place)


def _link(place: Path) -> None:
    place.with_name("mine").write_text("mine")
    place.symlink_to("mine")


FILES = {
    "text": lambda place: place.write_text("mine"),
    "an empty file": lambda place: place.touch(),
    "JSON": lambda place: place.write_text(json.dumps({"mean_iou": 0.5})),
    "weights": _safetensors,
    "arrays": _npz,
    "a folder": lambda place: place.mkdir(),
    "a pipe": os.mkfifo,
    "a link to a file": _link,
    "a link that leads nowhere": lambda place: place.symlink_to("nowhere/at all"),
}


def _draw(rng: np.random.Generator) -> Fault:
    """A writer, and what it finds where it is sent."""
    kind = rng.choice(["taken", "taken", "free", "changed", "file"])
    if kind == "taken":
        value = str(rng.choice(FOLDERS)), str(rng.choice(list(TAKEN)))
    elif kind == "file":
        value = str(rng.choice(owners.FILES)), str(rng.choice(list(FILES)))
    elif kind == "free":
        value = str(rng.choice(LISTED)), str(rng.choice(list(FREE)))
    else:
        change = CHANGES[rng.integers(len(CHANGES))]
        value = str(rng.choice(LISTED)), change, int(rng.integers(1000))
    words = " ".join(getattr(v, "__name__", str(v)) for v in value)
    return Fault(f"{kind}: {words}", (str(kind), value))


@sizes(quick=15, slow=150, long=600)
def test_what_is_there_stays(trier, count, record_property):
    all_held(
        "ownership",
        drawn(_draw, count),
        lambda fault: getattr(trier, fault[0])(fault[1]),
        record_property,
    )


def _every(kind):
    return [
        Fault(f"{name}: {what}", (name, what))
        for name in FOLDERS
        for what in (TAKEN if kind == "taken" else FREE)
        if kind == "taken" or WRITERS[name].ends
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["taken", "free"])
def test_every_writer_and_every_place(trier, kind, record_property):
    all_held(
        f"ownership, {kind} places",
        _every(kind),
        getattr(trier, kind),
        record_property,
    )


def test_guards_are_needed(trier, monkeypatch):
    """Without one of them, something of a person's is written over."""
    places = [Fault("a", ("predict", what)) for what in ("masks of the same names",)]
    taken = [ours, "names_in", lambda path: []]
    changed = [Fault("a", ("score", change, 0)) for change in CHANGES[:2]]
    size = [Fault("a", ("score", CHANGES[0], 0))]
    files = [Fault("a", ("score json", "text"))]
    nothing = [single, "check_file", lambda *_: None]
    for faults, attempt, guard in (
        (places, trier.taken, taken),
        (changed, trier.changed, [ours.Folder, "_check_own", lambda *_: None]),
        (size, trier.changed, [ours.Folder, "_check_own", lambda *_: None]),
        (files, trier.file, nothing),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(*guard)
            if guard is taken:
                patch.setattr(ours.Folder, "_check_own", lambda *_: None)
            some_break(faults, attempt, guard[1])


@pytest.mark.parametrize("what", ["a folder", "a pipe", "a link that leads nowhere"])
def test_class_counts_are_kept_only_where_nothing_is(tmp_path, what):
    source = Source("toy", ("background",), ("a",), lambda _: Record(*_RECORD))
    (tmp_path / "counts.npz").write_text("mine")
    FILES[what](tmp_path / "taken")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match="taken is there and no file of class counts"):
        count_pixels(source, str(tmp_path / "taken"))
    count_pixels(source, str(tmp_path / "counts"))
    count_pixels(source, str(tmp_path / "counts"))  # read again
    after = snapshot(tmp_path)
    assert after.pop("counts") and after == before


_RECORD = ("a", None, lambda: None, lambda: np.zeros((2, 2), np.uint8))
