"""The threshold that a validation split chooses, and its record in the run."""

import json
from typing import Any

from ppcjax import data_pipelines
from ppcjax.data_pipelines.sources.subset import part
from ppcjax.evaluate.masks.evaluation import (
    Run,
    evaluate,
    make_metric,
    predict_run,
    sweep_with,
)
from ppcjax.evaluate.masks.files import write_file
from ppcjax.types import UserError


def choose_threshold(
    run: Run, data: dict[str, Any], split: str, *, limit: int | None = None
) -> dict[str, Any] | None:
    """The threshold that is best on the validation split, which is scored for it.

    It is recorded in RUN/threshold.json.

    Args:
        run: whose network gives activation maps; others need no threshold.
        data: config.data.
        split: that is to be evaluated.
        limit: only so many images; then nothing is recorded.

    Returns:
        "threshold", "split" and "images"; None, with the reason printed, where there
        is no validation split, it has no masks, or it is the split to evaluate.
    """
    if run.kind != "scores":
        return None
    name = data.get("val_split")
    if not name or name == split:
        reason = (
            "it is the split evaluated" if name else "config.data.val_split is none"
        )
        print(f"no threshold is chosen on a validation split: {reason}")
        return None
    try:
        source = data_pipelines.make_source(
            data, name, classes=run.classes, evaluation=True
        )
    except UserError as error:
        print(f"no threshold is chosen on a validation split: {error}")
        return None
    source = part(source, limit)
    found = evaluate(
        predict_run(run, data_pipelines.make_eval(data, source)),
        metric=make_metric(run.classes, sweep_with(run.threshold), **run.metric),
        total=len(source),
        name=name,
    )
    if found.result is None:
        print(f"no threshold is chosen on a validation split: {name} has no masks")
        return None
    best = float(found.result["thresholds"][found.result["best"]])
    chosen = {"threshold": round(best, 6), "split": name, "images": found.masked}
    if limit is None:
        record = json.dumps(chosen | {"step": run.step})
        write_file(run.folder / "threshold.json", record.encode())
    return chosen
