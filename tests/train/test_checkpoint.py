"""Checkpoints: what comes back, and what happens to damaged ones and full disks."""

import contextlib
import errno
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.console import disk
from ppcjax.runs import checkpoint
from ppcjax.train import mesh, step
from ppcjax.types import UserError
from tests.train import toy

META = {"config": {"name": "run"}, "classes": ("background", "cat")}


def make_state(number):
    optimizer = toy.optimizer(10)
    batch = next(toy.batches_from(0))
    key = jax.random.key(number)
    state = step.create_state(toy.method(), optimizer, key, batch, mesh.make_mesh())
    return state.replace(step=state.step + number)


@pytest.fixture
def saved(tmp_path):
    """A run folder with checkpoints 2 and 3 of three that were saved."""
    states = {number: make_state(number) for number in (1, 2, 3)}
    saver = checkpoint.Checkpoints(tmp_path, keep=2, **META)
    with contextlib.closing(saver):
        for number, state in states.items():
            saver.save(state, number)
        saver.wait()
    return tmp_path, states


def test_state_comes_back_exactly_and_old_ones_leave_nothing(saved):
    workdir, states = saved
    assert {p.name for p in (workdir / "checkpoints").iterdir()} == {"2", "3"}
    state, meta = checkpoint.restore_state(workdir, make_state(9))
    jax.tree.map(np.testing.assert_array_equal, state, states[3])
    assert jax.tree.structure(state) == jax.tree.structure(states[3])
    assert meta["config"] == META["config"] and meta["classes"] == ["background", "cat"]
    assert meta["step"] == 3 and "jax" in meta["versions"]


@pytest.mark.parametrize("below", ["", "checkpoints", "checkpoints/3"])
def test_restore_reads_numpy_parameters_from_any_of_the_three_paths(saved, below):
    workdir, states = saved
    restored = checkpoint.restore(workdir / below)
    assert restored.step == 3
    jax.tree.map(np.testing.assert_array_equal, restored.params, states[3].params)
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(restored.params))
    assert checkpoint.restore(workdir / "checkpoints" / "2").step == 2


# Orbax's own reader, stopped by a missing file, talks to its closed event loop.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_half_deleted_checkpoint_is_exact_or_skipped(saved):
    workdir, states = saved
    newest = workdir / "checkpoints" / "3"
    files = sorted(p for p in newest.rglob("*") if p.is_file())
    whole = workdir / "whole"
    shutil.copytree(newest, whole)
    skipped = 0
    for kept in range(0, len(files), 3):
        for path in files[kept:]:
            path.unlink()
        lines = []
        state, _ = checkpoint.restore_state(workdir, make_state(9), log=lines.append)
        number = int(state.step)
        jax.tree.map(np.testing.assert_array_equal, state, states[number])
        assert (number == 2) == any("checkpoints/3 skipped" in x for x in lines)
        skipped += number == 2
        shutil.rmtree(newest, ignore_errors=True)
        shutil.copytree(whole, newest)
    assert skipped


def test_damaged_older_checkpoint_does_no_harm(saved):
    workdir, _ = saved
    shutil.rmtree(workdir / "checkpoints" / "2" / "state")
    assert checkpoint.restore(workdir).step == 3
    saver = checkpoint.Checkpoints(workdir, keep=2, **META)
    with contextlib.closing(saver):
        saver.save(make_state(4), 4)
        saver.wait()
    assert {p.name for p in (workdir / "checkpoints").iterdir()} == {"3", "4"}


def test_unreadable_run_is_an_error_and_is_left_as_it_is(saved):
    workdir, _ = saved
    for number in ("2", "3"):
        shutil.rmtree(workdir / "checkpoints" / number / "state")
    with pytest.raises(UserError, match="none of the checkpoints"):
        checkpoint.restore_state(workdir, make_state(9), log=lambda line: None)
    with pytest.raises(UserError, match="can be read"):
        checkpoint.restore(workdir)
    assert {p.name for p in (workdir / "checkpoints").iterdir()} == {"2", "3"}


def test_paths_without_checkpoint_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        checkpoint.restore(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path)
    (tmp_path / "masks.png").write_bytes(b"")
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path / "masks.png")
    assert checkpoint.restore_state(tmp_path, make_state(0)) is None


def full_disk(*arguments, **keywords):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_is_one_line_and_keeps_the_last_good_checkpoint(saved, monkeypatch):
    workdir, states = saved
    saver = checkpoint.Checkpoints(workdir, keep=1, **META)
    with contextlib.closing(saver), monkeypatch.context() as broken:
        # The background thread meets this when it has written the arrays and gives
        # the folder its final name.
        broken.setattr("os.rename", full_disk)
        broken.setattr("os.replace", full_disk)
        broken.setattr("pathlib.Path.rename", full_disk)
        with pytest.raises(UserError, match="disk full.*step 3 is kept"):
            saver.save(make_state(4), 4)
            saver.wait()
    state, _ = checkpoint.restore_state(workdir, make_state(9))
    jax.tree.map(np.testing.assert_array_equal, state, states[3])
    assert int(jnp.asarray(state.step)) == 3


def test_full_disk_is_recognised_in_what_the_native_writer_says():
    text = "RESOURCE_EXHAUSTED: Error writing x: Failed [os_error_code='28']"
    assert disk.code_of(ValueError(text)) == errno.ENOSPC
    assert disk.code_of(ValueError("RESOURCE_EXHAUSTED: out of memory")) is None
