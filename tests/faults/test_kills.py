"""Commands that are killed at any moment go on, or leave nothing half written.

A command runs once unbroken. Then it is killed with SIGKILL at a moment drawn over all
of its time, what it leaves is looked at, and the same command ends it: all files must
be those of the unbroken one, byte by byte.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np
import pytest

from ppcjax.runs import checkpoint
from ppcjax.runs.there import LIST
from tests import small_methods
from tests.evaluate.conftest import make_run
from tests.faults import forker, held
from tests.program import mask_folders
from tests.program.toy import write_photo
from tests.train import toy
from tests.weights.fetch.web import WEIGHTS, serve

# Notes of what is finished: they name times, and grow while a command runs.
NOTES = ("finished.jsonl", "log.out")


class Command(NamedTuple):
    """A command that is killed.

    words: what is typed, in a folder with all that it reads.
    whole: folder -> what it leaves in the end, to be compared.
    halves: (folder, what was there before, the unbroken end) -> None; fails where
        something is half written.
    before: what was typed before, and ended well; () for nothing.
    """

    words: tuple[str, ...]
    whole: Callable[[Path], object]
    halves: Callable[[Path, object, object], None]
    before: tuple[str, ...] = ()


def tree(name, of="*"):
    """Everything below a folder, or a file, byte by byte."""

    def whole(folder):
        place = folder / name
        found = [place] if place.is_file() else sorted(place.rglob(of))
        return {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in found
            if file.is_file() and file.name not in NOTES
        }

    return whole


def none_half(name, of="*"):
    """All files have their last content, or that of before, or another name."""

    def halves(folder, before, end):
        for file, content in tree(name, of)(folder).items():
            if file.endswith((".tmp", LIST)):  # the list of what is ours grows
                continue
            assert file in before or file in end, f"{file} is there in between"
            known = (before.get(file), end.get(file))
            assert content in known, f"{file} is half written"

    return halves


def trained(folder):
    """Arrays of the newest and of the best checkpoint, and losses and scores."""
    found = {}
    for place in (folder / "run", folder / "run" / "best"):
        there = place if place.name == "run" else place
        state = checkpoint.restore(there)
        for path, leaf in jax.tree_util.tree_flatten_with_path(state.params)[0]:
            name = f"{place.name} {jax.tree_util.keystr(path)}"
            found[name] = np.asarray(leaf).tobytes()
        found[f"{place.name} step"] = state.step
    found["metrics.jsonl"] = toy.recorded(folder / "run")
    return found


def restorable(folder, before, end):
    """What lies there can be opened, and is the state of a step that was saved."""
    steps = checkpoint.newest_step(folder / "run")
    assert steps is None or checkpoint.restore(folder / "run").step == steps


COMMANDS = {
    "train": Command(
        ("toy", "run", "--steps=24", "--checkpoint_every=3", "--eval_every=4"),
        trained,
        restorable,
    ),
    "eval --export": Command(
        ("eval", "--ckpt=RUN", "--images=photos", "--export=out", "--batch_size=1"),
        tree("out"),
        none_half("out"),
    ),
    "predict": Command(
        ("predict", "RUN", "photos", "--scores", "--format=coco,png_grey"),
        tree("predicted"),
        none_half("predicted"),
    ),
    "predict of more": Command(
        ("predict", "RUN", "photos", "more", "--batch_size=1"),
        tree("predicted"),
        none_half("predicted"),
        ("predict", "RUN", "photos", "--batch_size=1"),
    ),
    "eval": Command(
        ("eval", "--ckpt=segment", "--export=out", "--limit=3"),
        tree("out"),
        none_half("out"),
    ),
    "score --out": Command(
        ("score", "mine", "truth", "--out=scores", "--json=all.json"),
        lambda folder: tree("scores")(folder) | tree("all.json")(folder),
        none_half("scores"),
    ),
    "export_model": Command(
        ("eval", "--ckpt=RUN", "--export_model=model"),
        tree("model"),
        none_half("model"),
    ),
    "export_model again": Command(
        ("eval", "--ckpt=segment", "--export_model=model"),
        tree("model"),
        none_half("model"),
        ("eval", "--ckpt=RUN", "--export_model=model"),
    ),
    "export_weights": Command(
        ("eval", "--ckpt=segment", "--export_weights=net.safetensors"),
        tree("net.safetensors"),
        none_half("net.safetensors"),
    ),
    "export_backbone": Command(
        ("eval", "--ckpt=mobile/segment", "--export_backbone=backbone.safetensors"),
        tree("backbone.safetensors"),
        none_half("backbone.safetensors"),
    ),
    "weights fetch": Command(
        ("weights", "fetch", "URL"),
        tree("kept", of="*.pth"),
        none_half("kept", of="*.pth"),
    ),
}


class Place(NamedTuple):
    """Where commands run: what all read, and the unbroken ends.

    folder: what commands read.
    forker: runs them.
    url: a file of weights.
    ends: what was there before, the unbroken end and its seconds, by command; filled as
        they are asked for.
    """

    folder: Path
    forker: forker.Forker
    url: str
    ends: dict[str, tuple[object, object, float]]

    def fresh(self, name):
        """A copy of what a command reads, always at the same place."""
        folder, start = self.folder.with_name("try"), self.folder
        if COMMANDS[name].before:
            start = self.folder.with_name(f"before {name}")
        if not start.exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.folder, folder)
            ended = self.run(COMMANDS[name].before, folder)
            assert ended.code == 0, ended.said
            shutil.copytree(folder, start)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)  # with their times
        return folder

    def run(self, words, folder, after=None, **env):
        """Runs a command, which is killed after so many seconds."""
        words = [self.url if word == "URL" else word for word in words]
        env |= {"PPCJAX_WEIGHTS": str(folder / "kept")}
        return self.forker.run(words, folder, after=after, env=env)

    def end(self, name):
        """What is there before, what is when nobody kills, and how long that takes."""
        if name not in self.ends:
            command = COMMANDS[name]
            for _ in range(2):  # the first one compiles
                folder = self.fresh(name)
                before = command.whole(folder) if command.before else {}
                ended = self.run(command.words, folder)
                assert ended.code == 0, ended.said
            self.ends[name] = before, command.whole(folder), ended.seconds
            assert self.ends[name][1], f"{name} leaves nothing"
        return self.ends[name]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills") / "start"
    for i in range(6):
        write_photo(folder / "photos" / f"p{i}.png", i)
    for i in range(3):
        write_photo(folder / "more" / f"q{i}.png", i)
    pixels = {
        f"m{i}": np.roll(mask, i, 0)
        for i in range(20)
        for mask in [mask_folders.masks()["a"]]
    }
    mask_folders.folder(folder / "mine", pixels)
    mask_folders.folder(folder / "truth", pixels, names="cat\ndog\n")
    make_run(folder, "segment")
    published = {"backbone": "mobilenet_v2", "backbone_settings": None}
    of_segment = small_methods.SMALL["segment"] | published
    with mock.patch.dict(small_methods.SMALL, segment=of_segment):
        make_run(folder / "mobile", "segment")
    forks = forker.Forker(folder.with_name("compiled"))
    with serve() as web:
        web.files["/net.pth"] = WEIGHTS
        yield Place(folder, forks, web.address + "/net.pth", {})
    forks.close()


class Kill(NamedTuple):
    """A command, and when it is killed.

    name: key of COMMANDS.
    share: moment of the kill as a share of the seconds of the unbroken one.
    """

    name: str
    share: float


def kills(count):
    """The commands in turn, each killed at moments spread over all of its time."""
    for number in range(count):
        name = list(COMMANDS)[number % len(COMMANDS)]
        share = np.random.default_rng((held.SEED, number)).uniform()
        yield held.Fault(f"{name} at {share:.1%}", Kill(name, share))


def attempt_at(place, **env):
    """What tries one kill."""

    def attempt(kill):
        command = COMMANDS[kill.name]
        before, end, seconds = place.end(kill.name)
        folder = place.fresh(kill.name)
        place.run(command.words, folder, after=kill.share * seconds, **env)
        command.halves(folder, before, end)
        again = place.run(command.words, folder)
        assert again.code == 0, again.said
        found = command.whole(folder)
        other = [name for name in {*end, *found} if end.get(name) != found.get(name)]
        assert not other, f"other than unbroken: {sorted(other)}"

    return attempt


@held.sizes(quick=0, slow=5 * len(COMMANDS), long=50 * len(COMMANDS))
def test_killed_at_any_moment(place, count, record_property):
    held.all_held("kills", kills(count), attempt_at(place), record_property)


@pytest.mark.slow
def test_files_that_grow_under_their_final_name_are_noticed(place):
    # It stops at the first mask; the later kill is for machines that others use, too.
    faults = [held.Fault("", Kill("predict", share)) for share in (3.0, 9.0)]
    held.some_break(faults, attempt_at(place, TORN="1"), "writing aside")


def test_a_half_file_is_noticed(tmp_path):
    write = tmp_path / "out" / "masks.csv"
    write.parent.mkdir()
    write.write_bytes(b"whole")
    end = tree("out")(tmp_path)
    none_half("out")(tmp_path, {}, end)
    write.write_bytes(b"who")
    with pytest.raises(AssertionError, match="half written"):
        none_half("out")(tmp_path, {}, end)
