"""Curves of training: read from the lines of a run, drawn small."""

import json

from ppcjax.report import curves


def test_losses_of_a_resumed_run(tmp_path):
    rows = [
        {"step": 10, "train/loss/total": 3.0, "train/loss/er": 1.0, "images": 5},
        {"step": 20, "train/loss/total": 2.0, "train/loss/er": 0.5},
        {"step": 20, "train/loss/total": 2.5, "train/loss/er": None},
    ]
    path = tmp_path / "metrics.jsonl"
    # A line that says of no step cannot be placed, and one was cut.
    more = '[1]\n5\n{"train/loss/total": 9}\n{"step": 3'
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + more)
    losses = curves.read_curves(path, "train/loss/")
    assert losses == {"total": ([10, 20], [3.0, 2.5]), "er": ([10, 20], [1.0, 0.5])}
    assert list(losses)[0] == "total"
    assert curves.read_curves(tmp_path / "none.jsonl", "train/loss/") == {}


def test_scores_while_training_are_read_by_their_prefix(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": 5, "val/mean_iou": 0.5, "train/loss/total": 1.0}, {"step": 6}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curves.read_curves(path, "val/") == {"mean_iou": ([5], [0.5])}


def test_long_curves_are_smoothed():
    steps = list(range(40))
    few, many = (
        curves.losses({"total": (steps[:n], [float(s) for s in steps[:n]])})
        for n in (30, 40)
    )
    assert "line main" in few and "line smooth" not in few
    assert "line raw" in many and "line smooth" in many
    assert curves.losses({}) == curves.scores({}) == ""


def test_curves_over_decades_are_on_a_log_scale():
    steps = list(range(20))
    falls = {"total": (steps, [100 / (1 + s) ** 2 for s in steps])}
    flat = {"total": (steps, [2.0 - s / 20 for s in steps])}
    below = {"total": (steps, [s - 100.0 for s in steps])}
    assert "on a log scale" in curves.losses(falls)
    assert "on a log scale" not in curves.losses(flat) + curves.losses(below)
    assert not curves.spans_decades([]) and not curves.spans_decades([float("nan")])
