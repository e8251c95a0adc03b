"""The command line: a mistake is one line and exit code 1; runs can be resumed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppcjax import cli, program

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config.stepz=3"], ["--config.stepz=3", "did you mean 'steps'"]),
        (["--config.zzz.y=3"], ["--config.zzz.y=3", "no such field"]),
        (["--config.name.x=3"], ["--config.name.x=3", "no such field"]),
        (["--config.steps=many"], ["--config.steps=many", "int"]),
        (["--config.steps=1.5"], ["--config.steps=1.5", "int"]),
        (["--confg=x"], ["confg", "Did you mean"]),
        (["--config=configs/nope.py", "--config.steps=2"], ["configs/nope.py"]),
        (["--config=configs/ppc_shapes.py:nope"], ["nope", "no_intra"]),
        (["--config=configs/ppc_shapes.py", "--workdir="], ["--workdir needs a"]),
    ],
)
def test_wrong_options_are_one_line(options, words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    if not options[0].startswith("--config="):
        options = ["--config=configs/base.py", *options]
    error = error_of(options, capsys)
    for word in words:
        assert word in error


def error_of(options, capsys):
    """The one line that the process ends with."""
    with pytest.raises(SystemExit) as caught:
        program.main("train", *options)
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def train(*options):
    return subprocess.run(
        [sys.executable, "train.py", *options],
        cwd=ROOT,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "1",
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config=configs/nope.py"], ["configs/nope.py"]),
        (["--config=configs/ppc_shapes.py", "--config.steps=-1"], ["config.steps=-1"]),
        (["--config=configs/ppc_shapes.py", "photo.jpg"], ["photo.jpg"]),
    ],
)
def test_train_fails_with_one_line(options, words, tmp_path):
    done = train(*options, f"--workdir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.slow
def test_train_writes_a_run_once_and_guards_it(tmp_path):
    options = (
        "--config=configs/ppc_shapes.py:cam",
        f"--workdir={tmp_path}",
        "--config.data.batch_size=2",
        "--config.data.crop=48",
        "--config.log_every=1",
        "--config.steps=2",
    )
    first = train(*options)
    assert first.returncode == 0, first.stderr
    assert "finished: 2 steps" in first.stderr
    again = train(*options)
    assert again.returncode == 0, again.stderr
    assert "is finished: 2 of 2" in again.stderr
    other = train(*options, "--config.steps=3", "--config.method.projection=32")
    assert other.returncode == 1
    assert "method.projection (there 64, now 32)" in other.stderr
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_home_folder_of_nobody_is_one_line(capsys):
    def main():
        Path("~no_such_user_here/x").expanduser()

    with pytest.raises(SystemExit) as caught:
        cli.one_line(main)
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: a path begins with ~") and error.count("\n") == 1
