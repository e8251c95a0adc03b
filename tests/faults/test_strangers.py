"""Files of weights and runs from strangers: a line, little memory, nothing run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ppcjax.evaluate.masks import started
from ppcjax.evaluate.protocol import Request
from ppcjax.predict.photos import recorded_threshold
from ppcjax.report import curves
from ppcjax.runs import (
    checked,
    checkpoint,
    digests,
    extent,
    open_run,
    provenance,
    run,
)
from ppcjax.types import TrainState
from ppcjax.weights import exported, readers
from ppcjax.weights.readers import zips
from tests.faults import strange_files, strange_runs
from tests.faults.bounds import bounded, refused
from tests.faults.held import Fault, all_held, cycled, drawn, sizes, some_break


# ---- files of weights
@pytest.fixture
def try_file(tmp_path):
    def attempt(data, must_refuse=False):
        path = tmp_path / "net.pth"
        path.write_bytes(data)
        with bounded(len(data)):
            said = refused(readers.read, path)
        assert said or not must_refuse, "it was read"

    return attempt


@sizes(quick=40, slow=1000, long=20_000)
def test_broken_files_of_weights(count, try_file, record_property):
    faults = drawn(strange_files.broken, count)
    all_held("strangers: broken files", faults, try_file, record_property)


@sizes(quick=0, slow=999)
def test_files_of_weights_that_lie(count, try_file, record_property):
    lying = [Fault(name, data) for name, data in strange_files.lying().items()]

    def attempt(data):
        try_file(data, must_refuse=True)

    all_held("strangers: lying files", cycled(lying, count), attempt, record_property)


def test_without_its_bound_an_archive_unpacks_to_what_it_likes(try_file, monkeypatch):
    monkeypatch.setattr(zips, "_FREE_TOTAL", 1 << 40)
    monkeypatch.setattr(zips.Archive.__init__, "__defaults__", (1 << 40,))
    faults = [Fault("zeros", strange_files.bomb())]
    some_break(faults, lambda data: try_file(data, True), "the bound of deflated bytes")


# ---- notes of runs
@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return strange_runs.make(tmp_path_factory.mktemp("sound") / "run")


@pytest.fixture
def try_meta(sound, tmp_path):
    folder = strange_runs.copy(sound, tmp_path / "run")

    def attempt(content):
        (folder / "checkpoints/7/meta/metadata").write_bytes(content)
        strange_runs.seal(folder)
        found = []
        with bounded():
            said = refused(lambda: found.append(open_run(folder)))
            refused(checkpoint.newest_meta, folder)
        if said is None:
            opened = found[0]
            assert all(isinstance(name, str) for name in opened.classes)
            assert 0 < len(opened.classes) <= 255
            assert "/" not in opened.config.get("name", "")
            assert isinstance(opened.config["data"], dict)
            refused(lambda: opened.config["data"]["no such setting"])

    return attempt


@sizes(quick=25, slow=300, long=5000)
def test_metas_that_lie(count, try_meta, record_property):
    faults = drawn(strange_runs.lie, count)
    all_held("strangers: lying metas", faults, try_meta, record_property)


@sizes(quick=5, slow=60, long=300)
def test_metas_that_are_none(count, try_meta, record_property):
    faults = drawn(strange_runs.no_json, count)
    all_held("strangers: no metas", faults, try_meta, record_property)


def test_without_the_reader_a_meta_may_say_anything(try_meta, monkeypatch):
    monkeypatch.setattr(checked, "check_classes", lambda _: None)
    monkeypatch.setattr(checked, "_CONFIG", {})
    lies = [x for x in drawn(strange_runs.lie, 300) if "classes" in x.name]
    some_break(lies[:12], try_meta, "the check of the meta")


def test_a_run_that_names_neither_itself_nor_data_opens(tmp_path, monkeypatch):
    less = {"method": strange_runs.CONFIG["method"]}
    monkeypatch.setattr(strange_runs, "CONFIG", less)
    opened = open_run(strange_runs.make(tmp_path / "mine"))
    assert opened.config["name"] == "mine"
    request = Request()
    said = refused(lambda: request.split_of(request.data(opened)))
    assert "config.data.eval_split is missing" in said


NOTES = {
    "threshold.json": lambda folder, opened: recorded_threshold(opened),
    "choice.json": lambda folder, opened: run.chosen_checkpoint(folder),
    "metrics.jsonl": lambda folder, opened: curves.losses(
        curves.read_curves(folder / "metrics.jsonl", "train/loss/")
    ),
    "finished.jsonl": lambda folder, opened: list(
        filter(started._is_line, started._read(folder / "finished.jsonl"))
    ),
    "provenance.json": lambda folder, opened: provenance.read(folder),
    "metrics.json": lambda folder, opened: checked.read_json(folder / "metrics.json"),
    "model.json": lambda folder, opened: exported.read_note(folder),
}
_SOUND_NOTES = {
    "threshold.json": {"threshold": 0.5, "split": "val", "images": 3, "step": 7},
    "choice.json": {"step": 7, "mean_iou": {"7": 0.5}, "classes": ["cat"], "shot": 1},
    "metrics.jsonl": {"step": 7, "train/loss/total": 1.5},
    "finished.jsonl": {
        **{"id": "a", "size": [3, 4], "photo": ["/a.jpg", 1, 2, None], "files": {}},
        "row": {
            **{"id": "a", "size": [3, 4], "photo_size": [3, 4], "areas": {"0": 12}},
            **{"uncertainty": None, "iou": 0.5},
        },
    },
    "provenance.json": {"version": "1", "commit": None, "command": "x"},
    "metrics.json": {"step": 7, "background": True},
    "model.json": {
        **{"format": exported.FORMAT, "version": exported.VERSION, "gives": "logits"},
        **{"classes": ["background", "a"], "step": 7, "threshold": 0.5},
        **{"program": {"bytes": 1, "sha256": "x", "jax": "1"}},
        "config": strange_runs.CONFIG,
    },
}


def note(rng):
    """A note of a run that is another one in one entry, or none at all."""
    name = sorted(NOTES)[rng.integers(len(NOTES))]
    if rng.integers(4) == 0:
        fault = strange_runs.no_json(rng)
        return Fault(f"{name}: {fault.name}", (name, fault.value))
    found = json.loads(json.dumps(_SOUND_NOTES[name]))
    entry = sorted(found)[rng.integers(len(found))]
    found[entry] = strange_runs.ODD[rng.integers(len(strange_runs.ODD))]
    shown = str(found[entry])[:40]
    return Fault(f"{name}: {entry} = {shown!r}", (name, json.dumps(found).encode()))


@sizes(quick=40, slow=500, long=10_000)
def test_notes_of_runs(count, sound, tmp_path, record_property):
    folder = strange_runs.copy(sound, tmp_path / "run")
    opened = open_run(folder)

    def attempt(fault):
        name, content = fault
        (folder / name).write_bytes(content)
        with bounded(len(content)):
            refused(NOTES[name], folder, opened)
        (folder / name).unlink()

    all_held("strangers: notes", drawn(note, count), attempt, record_property)


# ---- checkpoints that ask for memory
@pytest.fixture
def try_asking(sound, tmp_path):
    def attempt(change):
        folder = strange_runs.copy(sound, tmp_path / "run")
        change(folder)
        # Without digests it opens; with them, what was not saved is damage already.
        (folder / "checkpoints/7" / digests.NAME).unlink()
        with bounded():
            assert refused(checkpoint.restore, folder), "it was opened"

    return attempt


ASKING = [Fault(name, change) for name, change in strange_runs.ASKING.items()]


@sizes(quick=4, slow=999)
def test_checkpoints_that_ask_for_memory(count, try_asking, record_property):
    faults = cycled(ASKING, count)
    all_held("strangers: asking runs", faults, try_asking, record_property)


@pytest.mark.slow
def test_without_the_check_a_checkpoint_unpacks_to_what_it_likes(
    try_asking, monkeypatch
):
    monkeypatch.setattr(extent, "check", lambda _: None)
    some_break(
        [Fault("a gigabyte", strange_runs.gigabyte)],
        try_asking,
        "the check of what is asked for",
    )


def test_arrays_of_zeros_are_no_bomb(tmp_path):
    """An empty memory packs ten-thousandfold."""
    state = {"slots": np.zeros((20, 5000, 256), np.float32)}
    state = TrainState(np.int32(7), {"head": np.ones(9, np.float32)}, state, {})
    folder = strange_runs.make(tmp_path / "run", state)
    assert checkpoint.restore(folder).model_state["slots"].shape == (20, 5000, 256)


# ---- one reader for all
def test_no_one_goes_round_the_reader():
    """What a run folder holds is parsed in one place."""
    root = Path(checked.__file__).parents[1]
    allowed = {"runs/checked.py", "weights/readers/safetensors_files.py"}
    # What processes of one training tell each other, over connections with a token.
    allowed |= {"train/peers.py", "train/links.py"}
    # These parse what they have just written, and a value of the command line.
    allowed |= {"train/jobs.py", "train/loop.py", "weights/untrained.py"}
    allowed |= {"weights/writers.py"}
    allowed |= {"evaluate/masks/makers.py", "fields/values.py", "weights/guess.py"}
    words = r"(?<!note = )\b(json\.load|np\.load|literal_eval|pickle\.load|eval\()"
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(words, file.read_text())
    }
    assert found - allowed == set()
