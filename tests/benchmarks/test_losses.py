"""The comparison of loss parts runs apart and writes what it found."""

import json

import numpy as np
import pytest

from benchmarks import loss_parts, losses


class Side:
    loss, program = 1.0, None

    def __init__(self, name, command, environment):
        self.name = name
        self.slow = 4.0 if name == loss_parts.LOOPS else 1.0
        assert command[-2:] == ["--serve", name]

    def start(self):
        return 0.1

    def run(self, steps):
        return self.slow * steps

    def memory(self):
        return 5.0

    def close(self):
        self.loss = None


def test_ratios_are_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(losses, "Apart", Side)
    file = tmp_path / "losses.json"
    losses.main(["--part", "ppc", "--json", str(file)])
    found = json.loads(file.read_text())
    assert found["parts"]["ppc"]["ratios"] == [4.0] * 5
    assert found["command"].startswith("python -m benchmarks.losses --part ppc")
    assert "4.0 (4.0 .. 4.0) times as fast" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["contrast", "memory"])
def test_our_parts_are_finite(part, monkeypatch):
    small = {"images": 2, "grid": (8, 16), "classes": 3, "dim": 4}
    monkeypatch.setattr(loss_parts, "STREETS", small)
    monkeypatch.setattr(loss_parts, "ANCHORS", {"max_anchors": 32, "max_views": 4})
    monkeypatch.setattr(loss_parts, "SLOTS", 20)
    side = loss_parts.Part(part, loss_parts.OURS)
    side.start()
    assert np.isfinite(side.loss) and side.loss > 0


def test_labels_lie_in_regions():
    rng = np.random.default_rng(0)
    labels = loss_parts.regions(rng, 2, (16, 32), 5).reshape(2, 16, 32)
    assert (labels[:, 0:2, 0:4] == labels[:, :1, :1]).all()
