"""A step that needs more memory than there is, in a process that has little."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import pathlib, resource, sys
import jax, jax.numpy as jnp
from ppcjax import cli
from tests.train import toy

def main():
    method = toy.method()
    def loss(params, state, batch, key, step):
        value, rest = method.loss(params, state, batch, key, step)
        large = jnp.sort(jax.random.normal(key, (3 * 10**9,)))
        return value + 1e-30 * large[0], rest
    resource.setrlimit(resource.RLIMIT_AS, (8 * 10**9,) * 2)
    toy.loop.fit(
        method._replace(loss=loss), toy.optimizer(3), toy.batches_from, steps=3,
        workdir=pathlib.Path(sys.argv[1]), seed=0,
        config={"data": {"batch_size": 8, "crop": 96}},
    )

cli.one_line(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits for a process there")
def test_too_large_a_step_is_one_line_at_the_first_step(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert last.startswith("error: out of memory while training (")
    assert "asked for); lower config.data.batch_size (8)" in last
    assert not (tmp_path / "metrics.jsonl").read_text()
