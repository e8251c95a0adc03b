import json

import pytest

from benchmarks import compare
from ppcjax.types import UserError


def _run(folder, config, value):
    out = folder / "eval-test"
    out.mkdir(parents=True)
    thresholds = {"fixed": {"mean_iou": value}, "oracle": {"mean_iou": value + 0.1}}
    metrics = {"config": config, "split": "test", "step": 9, "thresholds": thresholds}
    (out / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_seeds_are_taken_together(tmp_path):
    runs = [_run(tmp_path / f"a{i}", "a", 0.2 + 0.1 * i) for i in range(3)]
    runs.append(_run(tmp_path / "b", "b", 0.5))
    rows = compare.table(runs).splitlines()[2:]
    assert rows == [
        "| a | test | 9 | 3 | 30.0 +- 10.0 | - | 40.0 +- 10.0 |",
        "| b | test | 9 | 1 | 50.0 | - | 60.0 |",
    ]


def test_run_without_evaluation_is_named(tmp_path):
    with pytest.raises(UserError, match="eval.py --ckpt"):
        compare.table([tmp_path])
