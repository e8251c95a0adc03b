"""Runs that are killed, and runs of two processes."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from ppcjax.runs import checkpoint
from tests.train import toy

ROOT = Path(__file__).parents[2]
KILLS = 10


def start(workdir, *options, **environment):
    """A process that trains the toy in `workdir`."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.toy", str(workdir), *options],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "2",
            "PYTHONFAULTHANDLER": "1",
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes, timeout=90):
    """Return codes and stderr of processes; where they hang, where they do."""
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.send_signal(signal.SIGABRT)  # makes Python print its stacks
        errors = [process.communicate()[1] for process in processes]
    return [process.returncode for process in processes], errors


def wait_for_step(workdir, step, process):
    """Until the checkpoint of `step` or a later one is there."""
    deadline = time.monotonic() + 60
    while (checkpoint.newest_step(workdir) or 0) < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def losses(workdir):
    lines = [
        json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()
    ]
    key = "train/loss/total"
    return {line["step"]: line[key] for line in lines if key in line}


def assert_same_parameters(a, b):
    a, b = checkpoint.restore(a), checkpoint.restore(b)
    assert a.step == b.step
    trees = [(x.params, x.model_state) for x in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *trees)


@pytest.mark.slow
def test_killed_while_saving_again_and_again_equals_unbroken(tmp_path):
    # 4 MB of parameters and as much momentum, saved after every step: most of the
    # time the process is writing or deleting a checkpoint.
    steps, ballast = 2000, 1_000_000
    options = [
        f"--steps={steps}",
        f"--ballast={ballast}",
        "--checkpoint_every=1",
    ]
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    workdir = tmp_path / "killed"
    reached = 0
    for _ in range(KILLS):
        process = start(workdir, *options)
        wait_for_step(workdir, reached + 1, process)
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        process.communicate()
        newest = checkpoint.newest_step(workdir)
        restored = checkpoint.restore(workdir)
        assert restored.step == newest > reached, f"seed {seed}"
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(restored.params))
        reached = newest
    process = start(workdir, *options)
    wait_for_step(workdir, reached + 1, process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "stopped by SIGTERM" in errors and "Traceback" not in errors

    done = checkpoint.newest_step(workdir)
    toy.fit(
        tmp_path / "unbroken",
        steps=steps,
        ballast=ballast,
        terminate_at=done + 5,
        checkpoint_every=done,
    )
    assert_same_parameters(workdir, tmp_path / "unbroken" / "checkpoints" / str(done))


@pytest.mark.slow
def test_two_processes_of_four_devices_equal_one(tmp_path):
    steps = 120
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    workdir = tmp_path / "two"
    processes = [
        start(
            workdir,
            f"--steps={steps}",
            "--delay=0.03",
            "--eval_every=10",
            JAX_NUM_CPU_DEVICES="4",
            JAX_COORDINATOR_ADDRESS=f"localhost:{port}",
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(index),
        )
        for index in range(2)
    ]
    wait_for_step(workdir, 10, processes[0])
    processes[1].send_signal(signal.SIGTERM)  # both must agree on a step
    codes, errors = finish(processes)
    assert codes == [0, 0], "\n".join(errors)
    stopped = checkpoint.newest_step(workdir)
    assert 10 < stopped < steps

    # One process with other devices takes over, and it is still the same run.
    assert toy.fit(workdir, steps=steps, eval_every=10) == steps
    toy.fit(tmp_path / "one", steps=steps, eval_every=10)
    two, one = losses(workdir), losses(tmp_path / "one")
    assert two.keys() == one.keys()
    whole = [step for step in one if not stopped < step < stopped + 5]
    np.testing.assert_allclose(
        [two[step] for step in whole], [one[step] for step in whole], rtol=1e-5
    )
    scores = [
        checkpoint.restore(run).meta["scores"] for run in (workdir, tmp_path / "one")
    ]
    assert scores[0].keys() == scores[1].keys() and "10" in scores[0]
    best = [checkpoint.saved_steps(run, "best") for run in (workdir, tmp_path / "one")]
    assert best[0] == best[1]
