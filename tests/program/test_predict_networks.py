"""ppcjax predict with networks, in processes of its own: examples, and kills."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppcjax import program
from tests.program.toy import content, write_photo

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def call(*words):
    program.main("predict", *map(str, words))


def rows(out):
    text = (out / "photos.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_a_few_shot_run_learns_from_examples(folder_of, tmp_path, capsys):
    for i in range(2):
        write_photo(tmp_path / f"e/images/{i}.png", 0)
        mask = np.zeros((24, 30), np.uint8)
        mask[4:16, 4:20] = 1
        (tmp_path / "e/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"e/masks/{i}.png")
        write_photo(tmp_path / f"p/{i}.png", i)
    out = tmp_path / "o"
    words = ["--support", tmp_path / "e", "--out", out]
    call(folder_of("panet"), tmp_path / "p", *words)
    assert len(rows(out)) == 2 and (out / "prototypes.npz").is_file()
    call(folder_of("panet"), tmp_path / "p", *words)
    assert "2 of 2 photos are finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]
)
def test_killed_at_random_moments_it_ends_the_same(folder_of, tmp_path, seed):
    for i in range(12):
        write_photo(tmp_path / f"p/{i:02d}.png", i, [(24, 30), (44, 60)][i % 2])
    words = [sys.executable, "-m", "ppcjax", "predict", folder_of("segment"), "p"]
    words = [*map(str, words), "--out=o", "--format=coco,png_grey"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)}
    how = {"cwd": tmp_path, "env": environment}
    subprocess.run(words, check=True, **how)
    whole = content(tmp_path / "o")
    (tmp_path / "o").rename(tmp_path / "whole")
    rng = np.random.default_rng(seed)
    for least in sorted(rng.integers(1, 36, 2).tolist()):
        process = subprocess.Popen(words, **how)
        while process.poll() is None and _written(tmp_path / "o") < least:
            time.sleep(0.002)
        process.kill()
        process.wait()
    subprocess.run(words, check=True, **how)
    assert content(tmp_path / "o") == whole
    assert json.loads(whole["metrics.json"])["images"] == 12


def _written(folder):
    """Files in a folder, which comes and goes while a command begins."""
    try:
        return len(content(folder))
    except FileNotFoundError:
        return 0
