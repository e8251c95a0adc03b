"""Evaluates a checkpoint and exports masks.

python eval.py --ckpt runs/NAME                        the config's eval split
python eval.py --ckpt runs/NAME --images photos/       photos of your own

Writes to --export (default RUN/eval-SPLIT): metrics.json, masks/ID.png,
scores/ID.npz, overlays/ID.jpg, classes.txt and report.html.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

import data_pipelines
from data_pipelines.sources.base import Source
from data_pipelines.sources.photos import evenly_spaced, part, photos
from ppcjax import cli, export, report
from ppcjax.evaluate import Run, evaluate_run, load_run, sweep_with
from ppcjax.summary import format_summary, summarize
from ppcjax.types import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("ckpt", None, "run folder or checkpoint", required=True)
flags.DEFINE_string("split", None, "split (default: config.data.eval_split)")
flags.DEFINE_string(
    "images", None, "instead of a split: a folder of photos, or a quoted pattern"
)
flags.DEFINE_string("export", None, "output folder (default: RUN/eval-SPLIT)")
flags.DEFINE_float(
    "threshold", None, "score above which a pixel is foreground, for the masks too"
)
flags.DEFINE_integer("limit", None, "only so many images, evenly spaced", 1)
flags.DEFINE_bool("scores", True, "write score arrays (scores/ID.npz)")
flags.DEFINE_list(
    "report_classes",
    None,
    "classes that the mean is taken over; default: the config's",
)
flags.DEFINE_enum("on_bad_image", None, ["stop", "skip"], "default: the config's")


def main(_) -> None:
    """Evaluates what the flags name; writes files and the report."""
    cli.keep_compiled_programs()
    run = load_run(FLAGS.ckpt, threshold=FLAGS.threshold)
    if FLAGS.report_classes is not None:
        metric = run.metric | {"report_classes": tuple(FLAGS.report_classes)}
        run = run._replace(metric=metric)
    data = dict(run.config["data"])
    data["on_bad_image"] = FLAGS.on_bad_image or data.get("on_bad_image", "stop")
    split = FLAGS.split or data["eval_split"]
    if FLAGS.images:
        source, split = photos(FLAGS.images, run.classes), "images"
        data = {"on_bad_image": data["on_bad_image"]}
        chosen = recorded_threshold(run)
    else:
        source = data_pipelines.make_source(data, split, classes=run.classes)
        chosen = choose_threshold(run, data, split)
    exported = {"name": "fixed", "threshold": run.threshold}
    if chosen and FLAGS.threshold is None:
        exported = {"name": "chosen", "threshold": chosen["threshold"]}
    out = Path(FLAGS.export) if FLAGS.export else run.folder / f"eval-{split}"
    write_outputs(
        out,
        run,
        data,
        part(source, FLAGS.limit),
        split=split,
        exported=exported,
        chosen=chosen,
    )


def write_outputs(
    out: Path, run: Run, data: dict[str, Any], source: Source, *, exported, **described
) -> None:
    """Evaluates a source and writes all files; `described` as for `summarize`."""
    thresholds = sweep_with(run.threshold)
    shown = {name: i for i, name in enumerate(evenly_spaced(source.ids, run.gallery))}
    tiles = {}

    def add_tile(prediction):
        if prediction.example.id in shown:
            tile = report.make_tile(prediction, thresholds)
            tiles[shown[prediction.example.id]] = tile

    write = partial(
        export.write_prediction,
        folder=out,
        threshold=exported["threshold"],
        scores=FLAGS.scores,
    )
    found = score(run, data, source, described["split"], uses=(write, add_tile))
    summary = summarize(
        run, found, exported=exported, skipped=source.skipped, **described
    )
    export.write_classes(out / "classes.txt", run.classes)
    export.write_file(out / "metrics.json", json.dumps(summary, indent=1).encode())
    report.write_report(
        out / "report.html",
        summary,
        thresholds=thresholds,
        tiles=[tiles[i] for i in sorted(tiles)],
        losses=report.read_losses(run.folder / "metrics.jsonl"),
    )
    print(f"{format_summary(summary)}\n\nreport: {out / 'report.html'}")


def score(run: Run, data: dict[str, Any], source: Source, name: str, uses=()):
    """Evaluates all images of a source."""
    examples = data_pipelines.make_eval(data, source)
    return evaluate_run(run, examples, total=len(source), name=name, uses=uses)


def choose_threshold(
    run: Run, data: dict[str, Any], split: str
) -> dict[str, Any] | None:
    """The threshold that is best on the validation split, which is scored for it.

    It is recorded in RUN/threshold.json. None, with the reason printed, where there
    is no validation split, it has no masks, or it is the split to evaluate.
    """
    name = data.get("val_split")
    if not name or name == split:
        reason = (
            "it is the split evaluated" if name else "config.data.val_split is none"
        )
        print(f"no threshold is chosen on a validation split: {reason}")
        return None
    try:
        source = data_pipelines.make_source(data, name, classes=run.classes)
    except UserError as error:
        print(f"no threshold is chosen on a validation split: {error}")
        return None
    found = score(run, data, part(source, FLAGS.limit), name)
    if found.result is None:
        print(f"no threshold is chosen on a validation split: {name} has no masks")
        return None
    best = float(found.result["thresholds"][found.result["best"]])
    chosen = {"threshold": round(best, 6), "split": name, "images": found.masked}
    if FLAGS.limit is None:
        record = json.dumps(chosen | {"step": run.step})
        export.write_file(run.folder / "threshold.json", record.encode())
    return chosen


def recorded_threshold(run: Run) -> dict[str, Any] | None:
    """What an evaluation of a split of the same step chose; None before that."""
    file = run.folder / "threshold.json"
    found = json.loads(file.read_text()) if file.is_file() else {}
    return found if found.get("step") == run.step else None


if __name__ == "__main__":
    cli.run(main)
