"""Curves of training: read from a log, drawn as plots."""

import json
import re

import numpy as np
import pytest

from ppcjax.report import plots
from ppcjax.report.page import read_curves


def test_losses_of_a_resumed_run(tmp_path):
    rows = [
        {"step": 10, "train/loss/total": 3.0, "train/loss/er": 1.0, "images": 5},
        {"step": 20, "train/loss/total": 2.0, "train/loss/er": 0.5},
        {"step": 20, "train/loss/total": 2.5, "train/loss/er": None},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3')
    losses = read_curves(path, "train/loss/")
    assert losses == {"total": ([10, 20], [3.0, 2.5]), "er": ([10, 20], [1.0, 0.5])}
    assert list(losses)[0] == "total"
    assert read_curves(tmp_path / "none.jsonl", "train/loss/") == {}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 97, [0, 25, 50, 75, 100]), (0.2, 0.2, None), (-3, 5, [-4, -2, 0, 2, 4, 6])],
)
def test_ticks_are_round_and_cover(low, high, expected):
    found = plots.ticks(low, high, 4)
    assert found[0] <= low and found[-1] >= high and len(found) >= 2
    if expected:
        assert found == expected


def test_plot_breaks_where_undefined():
    text = plots.line_plot([0, 1, 2, 3], [("a", [1, np.nan, 2, 3])], title="t")
    assert len(re.findall("[ML]", re.search('class="line a" d="(.*?)"', text)[1])) == 3
    assert "nan" not in text
