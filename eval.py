"""Evaluates a checkpoint and exports masks.

python eval.py --ckpt runs/NAME                        the config's eval split
python eval.py --ckpt runs/NAME --images photos/       photos of your own

Writes to --export (default RUN/eval-SPLIT): metrics.json, masks/ID.png,
scores/ID.npz, overlays/ID.jpg, classes.txt and report.html.
"""

import dataclasses
import glob
import inspect
import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

import data_pipelines
from data_pipelines import images as image_files
from ppcjax import cli, evaluate, export, methods, report, tta
from ppcjax.train import checkpoint
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
flags.DEFINE_enum("on_bad_image", None, ["stop", "skip"], "default: the config's")


class Run(NamedTuple):
    """A restored run and what its config.eval says, by what it is for."""

    folder: Path
    config: dict[str, Any]
    classes: tuple[str, ...]
    step: int
    predictor: tuple[Any, Any, Any]  # method, params, model_state
    threshold: float
    gallery: int  # images in the report
    metric: dict[str, Any]  # settings of evaluate.make_metric
    tta: dict[str, Any]  # settings of tta.predict


def main(_):
    """Evaluates what the flags name and writes files and the report."""
    cli.keep_compiled_programs()
    run = load_run(FLAGS.ckpt)
    if FLAGS.threshold is not None:
        run = run._replace(threshold=FLAGS.threshold)
    data = dict(run.config["data"])
    data["on_bad_image"] = FLAGS.on_bad_image or data.get("on_bad_image", "stop")
    split = FLAGS.split or data["eval_split"]
    chosen = choose_threshold(run, data, split)
    if FLAGS.images:
        source, split = open_images(FLAGS.images, run.classes), "images"
    else:
        source = data_pipelines.make_source(data, split, classes=run.classes)
    source = limited(source, FLAGS.limit)
    out = Path(FLAGS.export) if FLAGS.export else run.folder / f"eval-{split}"
    use_chosen = chosen is not None and FLAGS.threshold is None
    exported = chosen["threshold"] if use_chosen else run.threshold

    tiles = []
    shown = set(evenly(source.ids, run.gallery))
    thresholds = evaluate.sweep_with(run.threshold)

    def add_tile(prediction):
        if prediction.example.id in shown:
            tiles.append(report.make_tile(prediction, thresholds))

    write = partial(
        export.write_prediction, folder=out, threshold=exported, scores=FLAGS.scores
    )
    found = score(run, data, source, name=split, uses=(write, add_tile))
    tiles.sort(key=lambda tile: source.ids.index(tile.id))
    summary = summarize(run, found, split=split, skipped=source.skipped, chosen=chosen)
    summary["exported"] = {
        "name": "chosen" if use_chosen else "fixed",
        "threshold": exported,
    }
    export.write_classes(out / "classes.txt", run.classes)
    text = json.dumps(evaluate.as_json(summary), indent=1)
    export.write_file(out / "metrics.json", text.encode())
    losses = report.read_losses(run.folder / "metrics.jsonl")
    report.write_report(
        out / "report.html",
        summary,
        thresholds=thresholds,
        tiles=tiles,
        losses=losses,
    )
    print_summary(summary, out)


def load_run(path: str) -> Run:
    """Restores the latest checkpoint of a run, or the one named."""
    restored = checkpoint.restore(path)
    config, classes = restored.meta["config"], tuple(restored.meta["classes"])
    settings = dict(config.get("eval", {}))
    threshold, gallery = settings.pop("threshold", 0.26), settings.pop("gallery", 24)
    known = inspect.signature(evaluate.make_metric).parameters
    metric = {name: settings.pop(name) for name in set(known) & set(settings)}
    unknown = set(settings) - set(inspect.signature(tta.predict).parameters)
    if unknown:
        raise UserError(f"config.eval.{min(unknown)} is not a setting of evaluation")
    return Run(
        folder=_run_folder(Path(path)),
        config=config,
        classes=classes,
        step=restored.step,
        predictor=(
            methods.make(config["method"], len(classes)),
            restored.params,
            restored.model_state,
        ),
        threshold=threshold,
        gallery=gallery,
        metric=metric,
        tta=settings,
    )


def _run_folder(path: Path) -> Path:
    """The run that a checkpoint folder RUN/checkpoints/STEP belongs to."""
    path = path.resolve()
    if path.name == "checkpoints":
        return path.parent
    return path.parent.parent if path.parent.name == "checkpoints" else path


def score(run: Run, data: dict, source: Any, *, name: str, uses=()) -> Any:
    """Evaluates all of a source; returns evaluate.Evaluation."""
    thresholds = evaluate.sweep_with(run.threshold)
    metric = evaluate.make_metric(run.classes, thresholds=thresholds, **run.metric)
    examples = data_pipelines.make_eval(data, source)
    return evaluate.evaluate(
        *run.predictor,
        examples,
        metric=metric,
        uses=uses,
        total=len(source),
        name=name,
        **run.tta,
    )


def choose_threshold(run: Run, data: dict, split: str) -> dict[str, Any] | None:
    """The threshold that is best on the validation split, which is scored for it.

    For photos of one's own it is the one found by an earlier evaluation of the same
    step. None where there is no validation split or it is what is evaluated.
    """
    file = run.folder / "threshold.json"
    if FLAGS.images:
        found = json.loads(file.read_text()) if file.is_file() else {}
        return found if found.get("step") == run.step else None
    val_split = data.get("val_split")
    if not val_split or val_split == split:
        return None
    source = data_pipelines.make_source(data, val_split, classes=run.classes)
    found = score(run, data, limited(source, FLAGS.limit), name=val_split)
    if found.result is None:
        return None
    chosen = {
        "threshold": round(float(found.result["thresholds"][found.result["best"]]), 6),
        "split": val_split,
        "images": found.masked,
    }
    if FLAGS.limit is None:
        record = json.dumps(chosen | {"step": run.step})
        export.write_file(file, record.encode())
    return chosen


def open_images(pattern: str, classes: tuple[str, ...]) -> Any:
    """A source of photos in a folder, with its tags.csv if there is one, or pattern."""
    path = Path(pattern).expanduser()
    if (path / "tags.csv").is_file():
        folder = {"source": "folder", "root": str(path)}
        return data_pipelines.make_source(folder, "all", classes=classes)
    pattern = str(path / "**" / "*") if path.is_dir() else str(path)
    files = [
        Path(file)
        for file in sorted(glob.glob(pattern, recursive=True))
        if file.lower().endswith(image_files.IMAGE_SUFFIXES)
    ]
    if not files:
        raise UserError(f"--images {FLAGS.images}: no image there; check the path")
    root = Path(os.path.commonpath([file.parent for file in files]))
    ids = tuple(file.relative_to(root).with_suffix("").as_posix() for file in files)
    if len(set(ids)) < len(ids):
        twin = next(name for name in ids if ids.count(name) > 1)
        raise UserError(f"--images {FLAGS.images}: two files {twin}.*; rename one")

    def record(index):
        def photo(at_least=0):
            name = str(files[index])
            return image_files.read_photo(files[index], name, at_least=at_least)

        return data_pipelines.Record(ids[index], photo, lambda: None, lambda: None)

    return data_pipelines.Source(f"--images {FLAGS.images}", classes, ids, record)


def limited(source: Any, limit: int | None) -> Any:
    """The source, or so many of its images, evenly spaced."""
    if limit is None or limit >= len(source):
        return source
    kept = evenly(range(len(source)), limit)
    return dataclasses.replace(
        source,
        ids=tuple(source.ids[i] for i in kept),
        record=lambda index: source.record(kept[index]),
    )


def evenly(items: Any, count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, first and last among them."""
    count = min(count, len(items))
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[i] for i in places.tolist()]


def summarize(run: Run, found: Any, *, split, skipped, chosen) -> dict[str, Any]:
    """What metrics.json holds; class IoU in the order of "classes"."""
    summary = {
        "config": run.config["name"],
        "method": run.config["method"]["name"],
        "step": run.step,
        "split": split,
        "images": found.images,
        "images_with_masks": found.masked,
        "skipped": dict(skipped),
        "classes": list(run.classes),
        "report_classes": list(run.metric.get("report_classes", ())),
        "thresholds": evaluate.compare_thresholds(
            found.result, threshold=run.threshold, chosen=chosen
        ),
    }
    if found.result is not None:
        summary["curve"] = {
            "threshold": list(evaluate.sweep_with(run.threshold)),
            "mean_iou": found.result["mean_iou"],
        }
    return summary


def print_summary(summary: dict[str, Any], out: Path) -> None:
    """Prints the three thresholds and where everything lies."""
    masked, exported = summary["images_with_masks"], summary["exported"]
    print(
        f"\n{summary['config']} at step {summary['step']} on {summary['split']}: "
        f"{summary['images']} images, {masked} with masks"
    )
    for reason in summary["skipped"].values():
        print(f"skipped: {reason}")
    print(
        evaluate.format_thresholds(
            summary["thresholds"], summary["classes"], summary["report_classes"]
        )
    )
    used = evaluate.threshold_text(exported["threshold"])
    print(f"\nmasks at t = {used} ({exported['name']})")
    print(f"report: {out / 'report.html'}")


if __name__ == "__main__":
    cli.run(main)
