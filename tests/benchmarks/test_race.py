"""A race takes turns, goes on without a side that fails, and says what it found."""

import argparse
import json
import subprocess
import sys

import pytest

from benchmarks import config, race, race_settings
from ppcjax import methods


class Side:
    """A side whose steps take as long as it is told."""

    def __init__(self, name, ms, log, broken=False):
        self.name, self.log, self.broken = name, log, broken
        self.times = iter(ms)
        self.program, self.loss = None, 1.0

    def start(self):
        if self.broken:
            raise MemoryError("too large\nwith more lines")
        return 0.5

    def run(self, steps):
        self.log.append(self.name)
        return next(self.times) * steps / 1e3

    def memory(self):
        return 7.0


def _options(blocks=3, limit=100.0):
    return argparse.Namespace(blocks=blocks, steps=2, limit=limit)


def test_sides_take_turns_and_ratios_are_block_by_block(capsys):
    log = []
    sides = [Side("ours", [10, 20, 10], log), Side("torch", [20, 20, 30], log)]
    found = race.race(sides, _options(), 4)
    assert log == ["ours", "torch"] * 3
    assert found["ratios"]["torch"] == pytest.approx([2.0, 1.0, 3.0])
    ours = found["sides"]["ours"]
    assert ours["step_ms"] == pytest.approx(10)
    assert ours["images_per_s"] == pytest.approx(400)
    printed = capsys.readouterr().out
    assert "10.0 (10.0 .. 20.0) ms/step" in printed
    assert "ours over torch: 2.00 (1.00 .. 3.00)" in printed


@pytest.mark.parametrize("broken", ["ours", "torch"])
def test_a_side_that_fails_does_not_stop_the_other(broken, capsys):
    sides = [Side(name, [10] * 3, [], name == broken) for name in ("ours", "torch")]
    found = race.race(sides, _options(), 4)
    assert found["sides"][broken] == {"error": "MemoryError: too large"}
    assert found["ratios"] == {}
    assert sum("step_ms" in side for side in found["sides"].values()) == 1
    assert "MemoryError: too large" in capsys.readouterr().out


def test_no_new_block_after_the_limit_but_two():
    log = []
    found = race.race([Side("ours", [10] * 9, log)], _options(9, limit=-1.0), 4)
    assert len(found["sides"]["ours"]["block_ms"]) == 2


def test_stored_settings_are_those_of_the_configs():
    stored = json.loads(race_settings.STORED.read_text())
    assert set(stored) == set(race_settings.RACES)
    for name, (path, *_) in race_settings.RACES.items():
        now = json.loads(json.dumps(config.load(path)))
        for key, value in stored[name].items():
            again = "; run python -m benchmarks.race --write_settings"
            assert value == now[key], f"{path}: {key}{again}"


@pytest.mark.parametrize("name", race_settings.RACES)
def test_settings_make_our_method(name):
    settings, classes = race_settings.read(name, dtype="bfloat16", batch=2, crop=(64,))
    assert settings["method"]["dtype"] == "bfloat16"
    assert settings["data"]["batch_size"] == 2
    assert settings["optim"].get("batch_size", 2) == 2
    assert settings["data"]["crop"] == 64
    methods.make(settings["method"], classes)


def test_needs_neither_ml_collections_nor_tensorflow():
    program = """
import sys
for name in ("ml_collections", "tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from benchmarks import race, race_settings, step
settings, classes = race_settings.read("pixpro", batch=2, crop=(64,))
step.random_batch(settings["data"], num_classes=classes)
from ppcjax import methods
from ppcjax.train import mesh, optim, step
methods.make(settings["method"], classes)
optim.make(steps=settings["steps"], **settings["optim"])
"""
    subprocess.run([sys.executable, "-c", program], check=True)
