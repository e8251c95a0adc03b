"""One memory, whatever the devices: 1, 4, and two processes of two."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import chex
import numpy as np
import pytest

from ppcjax.runs import checkpoint
from tests.train import contrast

ROOT = Path(__file__).parents[2]


def _start(workdir, devices, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.contrast", str(workdir)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(devices),
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors


def _found(workdir):
    run = checkpoint.restore(workdir)
    assert run.step == contrast.STEPS
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(x)["train/loss/contrast"] for x in lines]
    return run.params, run.model_state, losses


@pytest.mark.slow
def test_same_loss_memory_and_parameters_after_twenty_steps(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    _finish(_start(tmp_path / "one", 1))
    _finish(_start(tmp_path / "four", 4))
    joined = {
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    _finish(
        *(
            _start(tmp_path / "two", 2, JAX_PROCESS_ID=str(index), **joined)
            for index in range(2)
        )
    )
    one, four, two = (_found(tmp_path / name) for name in ("one", "four", "two"))
    assert one[2][-1] > 0
    filled = one[1]["memory"]["pixel"]["filled"]
    np.testing.assert_array_equal(filled, [50] * contrast.CLASSES)
    for other in (four, two):
        chex.assert_trees_all_close(one, other, rtol=2e-4, atol=2e-4)
