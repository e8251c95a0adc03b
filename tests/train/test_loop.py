"""The loop in one process: resuming, what it writes, and what stops it."""

import json
import signal

import jax
import numpy as np
import pytest

from ppcjax.runs import checkpoint
from ppcjax.train import loop
from ppcjax.train.ends import Account
from ppcjax.types import UserError
from tests.train import toy

STEPS = 24


def records(workdir):
    return [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]


def assert_same_parameters(a, b):
    a, b = checkpoint.restore(a), checkpoint.restore(b)
    assert a.step == b.step
    trees = [(x.params, x.model_state) for x in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *trees)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    assert toy.fit(workdir, steps=STEPS) == STEPS
    return workdir


def test_run_folder_has_config_log_metrics_and_checkpoints(unbroken):
    assert {p.name for p in unbroken.iterdir()} >= {
        "config.json",
        "log.txt",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
    }
    assert {p.name for p in (unbroken / "checkpoints").iterdir()} == {"20", "24"}
    lines = records(unbroken)
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 24]
    assert {"train/loss/total", "train/loss/class", "images_per_second"} <= set(
        lines[0]
    )
    assert "step 5/24" in (unbroken / "log.txt").read_text()
    meta = checkpoint.restore(unbroken).meta
    assert meta["classes"] == ["background", "cat", "dog"] and meta["step"] == STEPS


def test_interrupted_and_resumed_equals_unbroken(tmp_path, unbroken):
    at = int(np.random.default_rng().integers(3, STEPS - 3))
    handler = signal.getsignal(signal.SIGTERM)
    done = toy.fit(tmp_path, steps=STEPS, terminate_at=at)
    assert 0 < done < STEPS, f"interrupted with batch {at}"
    assert signal.getsignal(signal.SIGTERM) == handler
    assert f"after step {done} of" in (tmp_path / "log.txt").read_text()
    assert toy.fit(tmp_path, steps=STEPS) == STEPS
    assert_same_parameters(tmp_path, unbroken)
    assert toy.recorded(tmp_path) == toy.recorded(unbroken)


def test_hints_are_for_a_run_that_begins(tmp_path, capfd):
    account = Account(["what was read"], {}, ["what else there is"])
    for steps, times in ((2, 1), (4, 0)):
        toy.fit(tmp_path, steps=steps, account=account)
        said = capfd.readouterr().err
        assert said.count("what was read") == 1
        assert said.count("what else there is") == times


def test_finished_run_says_so_and_reads_no_data(tmp_path, unbroken, capfd):
    del tmp_path
    result = loop.fit(
        toy.method(),
        toy.optimizer(STEPS),
        lambda step: pytest.fail("asked for data"),
        steps=STEPS,
        workdir=unbroken,
        seed=0,
    )
    assert result == STEPS
    assert "is finished: 24 of 24" in capfd.readouterr().err


def test_damaged_newest_checkpoint_is_skipped_and_made_again(tmp_path, unbroken):
    with pytest.raises(UserError):
        toy.fit(tmp_path, steps=STEPS, poison_at=22)
    # Steps 10 and 20 are there; half of 20 is deleted, as by a kill while deleting.
    newest = tmp_path / "checkpoints" / "20"
    (newest / "state" / "manifest.ocdbt").unlink()
    assert toy.fit(tmp_path, steps=STEPS) == STEPS
    text = (tmp_path / "log.txt").read_text()
    assert "checkpoints/20 skipped" in text and "resuming after step 10" in text
    assert_same_parameters(tmp_path, unbroken)


def test_nonfinite_loss_stops_before_anything_is_poisoned(tmp_path):
    with pytest.raises(UserError) as caught:
        # Step 10 would be saved right after the bad one, number 10.
        toy.fit(tmp_path, steps=STEPS, poison_at=9, checkpoint_every=5)
    assert "step 10" in str(caught.value) and "loss/class=nan" in str(caught.value)
    assert "checkpoint 5 is kept" in str(caught.value)
    kept = checkpoint.restore(tmp_path)
    assert kept.step == 5
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(kept.params))


def test_unreadable_photo_does_not_cost_the_steps_before_it(tmp_path):
    def batches_from(step):
        for index, batch in enumerate(toy.batches_from(step), start=step):
            if index == 7:
                raise UserError("photo 12.jpg is truncated")
            yield batch

    with pytest.raises(UserError, match="12.jpg"):
        loop.fit(
            toy.method(),
            toy.optimizer(STEPS),
            batches_from,
            steps=STEPS,
            workdir=tmp_path,
            seed=0,
        )
    assert checkpoint.restore(tmp_path).step == 7


def test_run_of_another_config_names_the_fields(tmp_path):
    config = {"method": {"name": "ppc", "temperature": 0.1}, "data": {"root": "a"}}
    toy.fit(tmp_path, steps=3, config=config)
    moved = {"method": {"name": "ppc", "temperature": 0.1}, "data": {"root": "b"}}
    assert toy.fit(tmp_path, steps=4, config=moved) == 4
    other = {"method": {"name": "ppc", "temperature": 0.2}, "data": {"root": "a"}}
    with pytest.raises(UserError, match=r"method.temperature \(there 0.1, now 0.2\)"):
        toy.fit(tmp_path, steps=5, config=other)
    assert checkpoint.restore(tmp_path).step == 4


def test_data_without_a_batch_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no batch"):
        loop.fit(
            toy.method(),
            toy.optimizer(3),
            lambda step: iter(()),
            steps=3,
            workdir=tmp_path,
            seed=0,
        )


def test_workdir_that_is_a_file_is_a_user_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="run folder"):
        toy.fit(tmp_path / "run", steps=2)
