"""All ways to sort cells by class give the order that is measured."""

import jax
import numpy as np
import pytest

from benchmarks import ordering
from ppcjax.ops import anchors

CLASSES = 5
WAYS = ordering.ways(CLASSES)


@pytest.mark.parametrize("name", WAYS)
def test_ways_agree(name):
    rng = np.random.default_rng(0)
    slot = rng.integers(0, CLASSES + 1, (2, 200)).astype(np.int32)
    late = rng.random((2, 200)) < 0.5
    draw = jax.random.uniform(jax.random.key(0), slot.shape)
    draw = draw.at[:, 50].set(draw[:, 7])
    order = WAYS[name](slot, late, draw)
    np.testing.assert_array_equal(order, anchors.sort_by_class(2 * slot + late, draw))


def test_a_line_for_each(monkeypatch, tmp_path, capsys):
    small = {"images": 1, "grid": (8, 16), "classes": CLASSES, "dim": 4}
    monkeypatch.setattr(ordering.loss_parts, "STREETS", small)
    ordering.main(["--steps", "1", "--blocks", "1", "--json", str(tmp_path / "x")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(WAYS)
    assert (tmp_path / "x").read_text().count("[") >= len(WAYS)
