"""Saves that fail in the background, or are cut off: older checkpoints stay."""

import contextlib
import errno
import shutil
import socket

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from ppcjax.runs import checkpoint, digests, saving
from ppcjax.types import UserError
from tests.faults import damage, held
from tests.train.test_processes import finish, start

CONFIG = {"name": "run0", "method": {"name": "toy"}}


def opened(folder, keep):
    saver = checkpoint.Checkpoints(folder, keep=keep, config=CONFIG, classes=("a",))
    return contextlib.closing(saver)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def unheard(*_, **__):
    error = ValueError("Save failed: 5/7 params are missing\nin the store")
    raise error from error


def draw(rng):
    """How many are kept, and for each save where it fails, if it does."""
    places = [None, "digests", "rename", "writing", "unheard"]
    fails = [places[i] for i in rng.integers(len(places), size=rng.integers(4, 8))]
    keep = int(rng.integers(1, 4))
    return held.Fault(f"keep {keep}, {fails}", (keep, fails))


@contextlib.contextmanager
def failing(patch, where):
    with patch.context() as broken:
        if where == "digests":
            broken.setattr(digests, "write", full)
        if where == "rename":
            for name in ("os.rename", "os.replace", "pathlib.Path.rename"):
                broken.setattr(name, full)
        if where == "writing":
            broken.setattr(ocp.CompositeCheckpointHandler, "finalize", full)
        if where == "unheard":
            broken.setattr(ocp.CompositeCheckpointHandler, "finalize", unheard)
            broken.setattr(saving, "_PAUSE", 0.001)
        yield


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Saves again and again; what lies there are always the newest that were whole."""

    def tried(value):
        keep, fails = value
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        good = []
        with opened(folder, keep) as saver:
            for step, where in enumerate(fails, 1):
                with failing(monkeypatch, where):
                    try:
                        saver.save(damage.state_of(0, step), step)
                        saver.wait()
                        assert where is None, f"step {step} failed without a word"
                        good.append(step)
                    except UserError as error:
                        assert where, error
                        kept = f"of step {good[-1]} is" if good else "no checkpoint was"
                        assert kept in str(error) and "\n" not in str(error)
                expected = sorted(map(str, good[-keep:]))
                there = sorted(p.name for p in (folder / "checkpoints").iterdir())
                assert there == expected, f"after {step}: {there}, not {expected}"
        for step in good[-keep:]:
            found = checkpoint.restore(folder / "checkpoints" / str(step))
            jax.tree.map(
                np.testing.assert_array_equal,
                found.params,
                damage.state_of(0, step).params,
            )

    return tried


@held.sizes(quick=3, slow=50, long=300)
def test_failed_saves_cost_no_other(count, attempt, record_property):
    held.all_held("failed saves", held.drawn(draw, count), attempt, record_property)


def test_deleting_before_the_new_one_is_whole_is_noticed(attempt, monkeypatch):
    finish = saving.Checkpoints._finish

    def greedy(self, step):
        # As if the step that begins were there already.
        self._keep -= 1
        self._prune(step)
        self._keep += 1
        finish(self, step)

    monkeypatch.setattr(saving.Checkpoints, "_finish", greedy)
    faults = [held.Fault("", (2, [None, None, "digests"]))]
    held.some_break(faults, attempt, "the wait for the new one")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_step_has_its_name_only_with_digests(moment, tmp_path, monkeypatch):
    write = digests.write

    def copied(folder, run, step):
        if moment == "after":
            write(folder, run, step)
        if step == 2:
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
        if moment == "before":
            write(folder, run, step)

    monkeypatch.setattr(digests, "write", copied)
    with opened(tmp_path / "run", 2) as saver:
        for step in (1, 2):
            saver.save(damage.state_of(0, step), step)
    assert checkpoint.saved_steps(tmp_path / "killed") == [1]
    assert (
        int(
            checkpoint.restore_state(tmp_path / "killed", damage.state_of(0, 0))[0].step
        )
        == 1
    )
    with opened(tmp_path / "killed", 2):
        left = sorted(p.name for p in (tmp_path / "killed" / "checkpoints").iterdir())
    assert left == ["1"]


def test_a_failure_in_the_background_shows_without_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "write", full)
    with opened(tmp_path, 2) as saver:
        saver.save(damage.state_of(0, 1), 1)
        with pytest.raises(UserError, match="disk full.*no checkpoint was saved"):
            while True:
                saver.check()
        saver.check()  # said once


def test_a_damaged_step_is_written_anew_and_kept_aside(tmp_path, caplog):
    damage.save(tmp_path, 0, "best", (3,))
    path = tmp_path / "best" / "3" / "meta" / "metadata"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    damage.save(tmp_path, 0, "best", (3,))
    assert "best/3 is written anew: meta/metadata is not what was saved" in caplog.text
    assert checkpoint.restore(tmp_path / "best" / "3").step == 3
    aside = tmp_path / "best" / "unreadable" / "3" / "meta" / "metadata"
    assert aside.read_bytes().startswith(b"?")


@pytest.mark.slow
def test_two_processes_seal_one_step_and_agree_that_it_is_damaged(tmp_path):
    run = tmp_path / "run"
    options = ("--checkpoint_every=10", "--ballast=4096")
    assert two_processes(run, "--steps=20", *options)[0] == [0, 0]
    newest = run / "checkpoints" / "20"
    sealed = digests.check(newest, None).files
    for process in (0, 1):
        assert any(f"ocdbt.process_{process}/" in name for name in sealed)
    path = max(newest.rglob("d/*"), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    codes, errors = two_processes(run, "--steps=30", *options)
    assert codes == [0, 0], errors
    assert "checkpoints/20 skipped: state/" in errors[0]
    assert "resuming after step 10" in errors[0]
    assert checkpoint.saved_steps(run) == [20, 30]
    assert (run / "checkpoints" / "unreadable" / "20").is_dir()


def two_processes(workdir, *options):
    """Exit codes and stderr of two processes that train the toy together."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    together = {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    return finish(
        [
            start(workdir, *options, **together, JAX_PROCESS_ID=str(index))
            for index in range(2)
        ],
        timeout=200,
    )
