"""Damaged checkpoints: what is restored is what was saved, or a line says so."""

import json
import logging
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest

from ppcjax.runs import checkpoint, digests
from ppcjax.types import UserError
from tests.faults import damage, held

# Orbax's own reader, stopped by a missing file, talks to its closed event loop.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return damage.two_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def attempt(runs, tmp_path, caplog):
    """Tries one damage: evaluating, naming a step, and training on."""
    caplog.set_level(logging.WARNING)

    def tried(fault):
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(runs[0], folder)
        damage.do(fault, folder, runs[1])
        before = damage.contents(folder)
        lines = Lines(caplog)
        sound = [
            step
            for step in checkpoint.saved_steps(folder)
            if is_sound(folder / "checkpoints" / str(step), runs[0])
        ]
        newest = max(sound, default=None)
        evaluated(folder, lines, newest)
        for place in damage.PLACES:
            named(folder / place, lines, is_sound(folder / place, runs[0]))
        assert damage.contents(folder) == before, "evaluating changed a file"
        resumed(folder, lines, newest)
        assert damage.contents(folder) == before, "a file was lost"

    return tried


def is_sound(place, saved):
    there = saved.joinpath(*place.parts[-2:])
    return place.is_dir() and there.is_dir() and damage.is_sound(place, there)


class Lines:
    """Lines that were said since the last look."""

    def __init__(self, caplog):
        self.caplog = caplog
        caplog.clear()

    def take(self):
        found = [record.getMessage() for record in self.caplog.records]
        self.caplog.clear()
        assert all(line and "\n" not in line for line in found), found
        return found


def evaluated(folder, lines, newest):
    """The newest sound checkpoint, and a line for each that is passed over."""
    try:
        restored = checkpoint.restore(folder)
    except UserError as error:
        assert newest is None and "\n" not in str(error)
        assert len(lines.take()) >= len(checkpoint.saved_steps(folder))
        return
    said = lines.take()
    assert restored.step == newest
    assert_saved(restored, newest)
    passed = [n for n in checkpoint.saved_steps(folder) if n > restored.step]
    for step in passed:
        assert any(f"checkpoints/{step} skipped" in line for line in said), said


def named(place, lines, sound):
    """A step that is named: what was saved, or an error."""
    try:
        restored = checkpoint.restore(place)
    except UserError as error:
        assert not sound and "\n" not in str(error)
    else:
        assert sound
        assert_saved(restored, int(place.name))
    assert not any("skipped" in line for line in lines.take())


def resumed(folder, lines, newest):
    """Training goes on from the newest sound state; what was newer lies aside."""
    there = checkpoint.newest_step(folder)
    meta = checkpoint.newest_meta(folder)
    assert meta is None or meta["config"]["name"] == "run0"
    try:
        found = checkpoint.restore_state(folder, damage.state_of(0, 0))
    except UserError as error:
        assert newest is None and "\n" not in str(error)
        assert lines.take()
        return
    said = lines.take()
    if found is None:
        assert there is None
        return
    state, meta = found
    step = int(state.step)
    assert step == newest
    jax.tree.map(np.testing.assert_array_equal, state, damage.state_of(0, step))
    assert meta["step"] == step and meta["config"]["name"] == "run0"
    assert checkpoint.newest_step(folder) == step
    assert step == there or any("skipped" in line for line in said)


def assert_saved(restored, step):
    """What evaluation gets is what the run saved at that step."""
    state = damage.state_of(0, step)
    assert restored.meta["step"] == step and restored.meta["config"]["name"] == "run0"
    assert restored.meta["classes"] == ["background", "cat"]
    for found, saved in (
        (restored.params, state.params),
        (restored.model_state, state.model_state),
    ):
        jax.tree.map(np.testing.assert_array_equal, found, saved)


KINDS = list(damage.DAMAGES)


def draw(rng):
    # Every second one flips a bit: most of what happens to a disk does.
    what = "flip" if rng.integers(2) else KINDS[rng.integers(len(KINDS))]
    seed = int(rng.integers(2**32))
    return held.Fault(f"{what} {seed}", damage.Damage(what, seed))


@held.sizes(quick=4, slow=100, long=500)
def test_nothing_is_silently_wrong(count, attempt, record_property):
    held.all_held("checkpoints", held.drawn(draw, count), attempt, record_property)


def test_every_kind_of_damage_is_tried(attempt, record_property):
    faults = [held.Fault(what, damage.Damage(what, 1)) for what in KINDS]
    held.all_held("checkpoints, each kind", faults, attempt, record_property)


def test_nobody_reads_or_writes_checkpoints_past_the_digests():
    package = pathlib.Path(checkpoint.__file__).parents[1]
    using = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) orbax", path.read_text(), re.MULTILINE)
    }
    assert using == {"runs/checkpoint.py", "runs/saving.py"}


def test_without_reading_the_digests_it_is_noticed(attempt, monkeypatch):
    monkeypatch.setattr(digests, "check", lambda *_, **__: None)
    faults = [held.Fault(str(n), damage.Damage("step_of_other", n)) for n in range(3)]
    held.some_break(faults, attempt, "the reading of digests")


def test_one_line_says_that_there_are_no_digests(runs, tmp_path, caplog):
    shutil.copytree(runs[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "checkpoints" / "4" / digests.NAME).unlink()
    assert checkpoint.restore(tmp_path).step == 4
    assert checkpoint.restore_state(tmp_path, damage.state_of(0, 0)) is not None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and all("saved without digests" in line for line in said)


def test_the_chosen_and_the_best_fall_back_to_the_newest_sound_one(
    runs, tmp_path, caplog
):
    from ppcjax.runs.run import restore_counted

    shutil.copytree(runs[0], tmp_path, dirs_exist_ok=True)
    choice = {"step": 2, "mean_iou": {"2": 0.5, "4": 0.4}}
    (tmp_path / "choice.json").write_text(json.dumps(choice))
    assert restore_counted(tmp_path).step == 2
    (tmp_path / "checkpoints" / "2" / "meta" / "metadata").unlink()
    assert restore_counted(tmp_path).step == 4
    assert "meta/metadata is missing; the newest sound one is taken" in caplog.text
    with pytest.raises(checkpoint.Damaged, match="meta/metadata is missing"):
        restore_counted(tmp_path / "checkpoints" / "2")
