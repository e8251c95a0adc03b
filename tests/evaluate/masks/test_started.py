"""An export that was killed goes on, and ends like one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppcjax.evaluate import command
from ppcjax.evaluate.masks import files, makers, started
from ppcjax.runs import open_run, ours
from ppcjax.types import UserError

ROOT = Path(__file__).resolve().parents[3]
COUNT = 11
# Two canvases; some photos share a batch, and the last ones fill none.
SIZES = [(30, 40), (30, 40), (44, 60), (30, 40)]


def write_photo(file, seed, size):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(COUNT):
        write_photo(folder / f"p{i:02d}.png", i, SIZES[i % len(SIZES)])
    return folder


def export(run, photos, *words):
    """Predicts the photos into a folder beside them."""
    out = photos.parent / "out"
    images = () if "--split=all" in words else (f"--images={photos}",)
    command.main([f"--ckpt={run}", *images, f"--export={out}", *words])
    return out


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class Killed(KeyboardInterrupt):
    """What a signal raises."""


@pytest.fixture
def kill_after(monkeypatch):
    """Number of files -> from then on, writing one more kills."""
    write = ours.write_file

    def kill(count):
        left = [count]

        def wrapped(path, content):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            write(path, content)

        monkeypatch.setattr(ours, "write_file", wrapped)

    yield kill


def torn(out, seed):
    """Leaves half of the last line, as a kill while it is written does."""
    note = out / started.NAME
    if seed % 2 and note.exists():
        note.write_bytes(note.read_bytes()[:-9])


WORDS = ("--gallery=2", "--batch_size=3", "--export_format=png_grey")


def _slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("method", "seed"),
    [
        _slow("segment", 1),
        _slow("segment", 0),
        _slow("ppc", 3),
        *(_slow(method, seed) for method in ("segment", "ppc") for seed in (4, 5, 6)),
    ],
)
def test_killed_at_any_moment_it_ends_the_same(
    folder_of, photos, kill_after, method, seed, capsys
):
    run = folder_of(method)
    out = export(run, photos, *WORDS)
    whole = content(out)
    assert started.NAME not in whole and len(whole) > 3 * COUNT
    shutil.rmtree(out)
    rng = np.random.default_rng(seed)
    for count in rng.integers(1, 25, 2).tolist():
        kill_after(count)
        with pytest.raises(Killed):
            export(run, photos, *WORDS)
        torn(out, seed)
    capsys.readouterr()
    kill_after(10_000)
    assert content(export(run, photos, *WORDS)) == whole
    said = capsys.readouterr().out
    if " finished and kept" in said:
        kept = int(said.partition(" of 11 photos are finished")[0].split()[-1])
        assert 0 < kept <= COUNT


def begun(run, photos, kill_after, *words):
    """An export that was killed after nine of its photos."""
    kill_after(27)
    with pytest.raises(Killed):
        export(run, photos, *words)
    kill_after(10_000)


@pytest.fixture
def predicted(monkeypatch):
    """Ids of the photos whose files were written."""
    found, write = [], files.write_prediction

    def wrapped(prediction, *words, **more):
        found.append(prediction.example.id)
        return write(prediction, *words, **more)

    monkeypatch.setattr(files, "write_prediction", wrapped)
    return found


def test_only_what_is_missing_or_changed_is_predicted(
    folder_of, photos, kill_after, predicted, capsys
):
    run = folder_of("segment")
    words = ("--gallery=0", "--batch_size=1")
    begun(run, photos, kill_after, *words)
    done = set(predicted[:9])
    first, second, third, *_ = sorted(done)
    write_photo(photos / f"{first}.png", 99, (30, 40))
    (photos.parent / f"out/masks/{second}.png").unlink()
    mask = photos.parent / f"out/masks/{third}.png"
    whole = mask.read_bytes()
    mask.write_bytes(files.mask_bytes(np.ones((30, 40), np.uint8)))
    with pytest.raises(UserError, match=f"{third}.png was changed since"):
        export(run, photos, *words)
    mask.write_bytes(whole)  # at another time
    predicted.clear()
    out = export(run, photos, *words)
    assert "6 of 11 photos are finished and kept" in capsys.readouterr().out
    assert set(predicted) == {f"p{i:02d}" for i in range(COUNT)} - done | {
        first,
        second,
        third,
    }
    assert json.loads((out / "metrics.json").read_text())["images"] == COUNT
    assert json.loads((out / "provenance.json").read_text())["images"] == COUNT
    # Complete, it is made anew.
    predicted.clear()
    export(run, photos, *words)
    assert len(predicted) == COUNT


@pytest.mark.parametrize(
    "change", [_slow("--threshold=0.4"), _slow("--noflip"), _slow("--scales=1.0,1.5")]
)
def test_other_settings_lose_no_finished_photos(
    folder_of, photos, kill_after, predicted, capsys, change
):
    run = folder_of("ppc")
    begun(run, photos, kill_after, "--gallery=0")
    note = photos.parent / "out" / started.NAME
    before = note.read_bytes()
    with pytest.raises(UserError, match="9 finished photos.*--anew") as caught:
        export(run, photos, "--gallery=0", change)
    name = change.strip("-").removeprefix("no").partition("=")[0]
    assert f"{name} " in str(caught.value) and ", now " in str(caught.value)
    assert note.read_bytes() == before
    predicted.clear()
    export(run, photos, "--gallery=0", change, "--anew")
    assert "predicted again: 9 photos" in capsys.readouterr().out
    assert len(predicted) == COUNT


def test_another_commit_is_said_and_loses_nothing(
    folder_of, photos, kill_after, monkeypatch, capsys
):
    run = folder_of("segment")
    monkeypatch.setattr(makers.provenance, "commit", lambda: "abc")
    begun(run, photos, kill_after, "--gallery=0", "--batch_size=1")
    monkeypatch.setattr(makers.provenance, "commit", lambda: "def+")
    export(run, photos, "--gallery=0", "--batch_size=1")
    said = capsys.readouterr().out
    assert "9 of 11 photos are finished and kept" in said
    assert "finished at commit abc of the program, which is at def+ now" in said


def test_what_makes_an_export(run_of):
    run = run_of("segment")
    settings = command.settings_of(command.EVALUATIONS["logits"], {}, "it")
    made_by = makers.made_by(run, settings)
    assert "workers" not in made_by["settings"] and "flip" in made_by["settings"]
    other = run._replace(params={"w": np.zeros(3)})
    assert makers.made_by(other, settings) != made_by
    assert makers.made_by(open_run(run.folder), settings) == made_by
    # The parameters of an exported predictor are in its program.
    programs = [run._replace(params={}, program=letter) for letter in "ab"]
    one, two = (makers.made_by(program, settings) for program in programs)
    assert makers.differences({"made_by": one}, two) == ["weights a, now b"]


@pytest.mark.parametrize("before", [None, {}, [], {"made_by": "x"}, "x"])
def test_notes_of_other_versions_are_of_another_one(before):
    assert makers.differences(before, {"version": "1"}) == [
        "another version of the program"
    ]
    assert makers.commits_of(before) == []
    makers.check_same("out", before, {}, 0)  # nothing is lost


def test_differences_are_named_by_what_was_set():
    then = {"version": "1", "settings": {"threshold": None, "crf": ""}, "exported": {}}
    now = {"settings": {"threshold": 0.4, "crf": "k1"}, "exported": {"threshold": 0.4}}
    now |= {"version": "1", "prototypes": "abc"}
    assert makers.differences({"made_by": then}, now) == [
        "threshold none, now 0.4",
        "crf none, now k1",
        "other examples",
    ]


def test_photos_that_are_compared_are_counted_again(folder_of, tmp_path, predicted):
    command.main(
        [f"--ckpt={folder_of('segment')}", f"--export={tmp_path}", "--limit=3"]
    )
    assert not (tmp_path / started.NAME).exists() and len(predicted) == 3


@pytest.mark.slow
def test_killed_by_the_system(folder_of, photos):
    run = folder_of("segment")
    words = [sys.executable, "eval.py", "--ckpt", run, "--images", photos]
    words = [*map(str, words), f"--export={photos.parent / 'out'}", "--batch_size=1"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    subprocess.run(words, cwd=ROOT, env=environment, check=True)
    out = photos.parent / "out"
    whole = content(out)
    shutil.rmtree(out)
    process = subprocess.Popen(words, cwd=ROOT, env=environment)
    while len(list(out.glob("masks/*.png"))) < 3 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(words, cwd=ROOT, env=environment, check=True)
    assert content(out) == whole
