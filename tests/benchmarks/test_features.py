"""Forward passes are raced in turns, and only of what has a PyTorch form."""

import argparse

import pytest

from benchmarks import features
from ppcjax.types import UserError
from tests.benchmarks.test_race import Side

OPTIONS = argparse.Namespace(
    backbone="vit_s14", side=28, batch=4, blocks=3, steps=2, limit=100.0, clock="wall"
)


def test_photos_per_second(capsys):
    log = []
    sides = [Side("ours", [100, 200, 100], log), Side("torch", [200, 200, 300], log)]
    found = features.race(sides, OPTIONS)
    assert log == ["ours", "torch"] * 3
    assert found["ratios"] == pytest.approx([2.0, 1.0, 3.0])
    assert found["sides"]["ours"]["photos_per_s"] == pytest.approx([40, 20, 40])
    printed = capsys.readouterr().out
    assert "40.00 (20.00 .. 40.00) photos/s" in printed
    assert "ours over PyTorch: 2.00 (1.00 .. 3.00) times" in printed


def test_a_side_that_cannot_start():
    sides = [Side("ours", [], []), Side("torch", [], [], broken=True)]
    with pytest.raises(UserError, match="could not start"):
        features.race(sides, OPTIONS)


@pytest.mark.parametrize("clock", features.CLOCKS)
def test_our_side(monkeypatch, clock):
    small = {"depth": 1, "width": 12, "heads": 2}
    monkeypatch.setattr(features, "SETTINGS", features.SETTINGS | small)
    side = features.Ours(argparse.Namespace(**vars(OPTIONS) | {"clock": clock}))
    assert side.start() > 0
    assert side.run(2) > 0
    params, image = side.given
    assert side.once(params, image).shape == (4, 2, 2, 12)


def test_what_is_refused():
    with pytest.raises(UserError, match="--backbone=resnet50: give a vision"):
        features.main(["--backbone", "resnet50"])
    with pytest.raises(UserError, match="--side=100 is no multiple"):
        features.main(["--side", "100"])
