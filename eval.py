"""Evaluates a checkpoint and exports masks.

python eval.py --ckpt runs/NAME                        the config's eval split
python eval.py --ckpt runs/NAME --images photos/       photos of your own
python eval.py --ckpt runs/NAME --crf k1 --alpha 8     masks refined by a dense CRF
python eval.py --ckpt runs/AFFINITY --cams EXPORTED    scores carried along affinities
python eval.py --ckpt runs/FEWSHOT                     episodes, as its config says
python eval.py --ckpt runs/FEWSHOT --support DIR --images photos/
python eval.py --ckpt runs/PIXPRO                      correspondences of two views
python eval.py --ckpt runs/NAME --export_backbone FILE.safetensors

Writes to --export (default RUN/eval-SPLIT): metrics.json, masks/ID.png,
scores/ID.npz, overlays/ID.jpg, classes.txt, provenance.json and report.html.
"""

import json
from functools import partial
from pathlib import Path

from absl import flags
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part

from ppcjax import cli, data_pipelines
from ppcjax.evaluate.episodes import main as fewshot_main
from ppcjax.evaluate.masks import files as export
from ppcjax.evaluate.masks import gallery as report
from ppcjax.evaluate.masks.evaluation import (
    Run,
    evaluate,
    load_run,
    make_metric,
    recorded_threshold,
    sweep_with,
)
from ppcjax.evaluate.masks.stages import Stages
from ppcjax.evaluate.masks.summary import format_summary, summarize
from ppcjax.evaluate.masks.thresholds import choose_threshold
from ppcjax.evaluate.views import main as correspondence_main
from ppcjax.predict.fewshot_model import is_few_shot
from ppcjax.runs import checkpoint, provenance
from ppcjax.types import UserError
from ppcjax.weights.writers import NAMES, write_backbone

FLAGS = flags.FLAGS
flags.DEFINE_string("ckpt", None, "run folder or checkpoint", required=True)
flags.DEFINE_string("split", None, "split (default: config.data.eval_split)")
flags.DEFINE_string("root", None, "where the data lies now (default: config.data.root)")
flags.DEFINE_string(
    "images", None, "instead of a split: a folder of photos, or a quoted pattern"
)
flags.DEFINE_string("export", None, "output folder (default: RUN/eval-SPLIT)")
flags.DEFINE_float(
    "threshold", None, "score above which a pixel is foreground, for the masks too"
)
flags.DEFINE_string("crf", "", "dense CRF on the masks: k1 to k5, see docs/chain.md")
flags.DEFINE_float(
    "alpha",
    None,
    "for the CRF on activation maps: the background scores (1 - best)^alpha; default: "
    "the alpha that makes it win below the threshold",
)
flags.DEFINE_string(
    "cams", None, "for an affinity run: an earlier --export, whose scores walk"
)
flags.DEFINE_list(
    "affinity_labels",
    None,
    "LOW,HIGH, such as 4,24: also write labels/ID.png for an affinity network",
)
flags.DEFINE_string(
    "support", None, "for a few-shot run, with --images: folder of masked examples"
)
flags.DEFINE_string("plans", "", "for a few-shot run: folder of episode plans to use")
flags.DEFINE_integer("episodes", 0, "for a few-shot run: of each seed", 0)
flags.DEFINE_string(
    "export_backbone", None, "write the backbone to this .safetensors file; no more"
)
flags.DEFINE_enum(
    "names", "torchvision", list(NAMES), "of what is written by --export_backbone"
)
flags.DEFINE_integer("workers", 0, "processes for the CRF; 0: none but this one", 0)
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
    if FLAGS.export_backbone is not None:
        export_backbone()
        return
    meta = checkpoint.newest_meta(checkpoint.run_folder(FLAGS.ckpt))
    if meta is not None and correspondence_main.is_on_views(meta["config"]):
        correspondence_main.main(
            FLAGS.ckpt,
            split=FLAGS.split or "",
            images=FLAGS.images or "",
            root=FLAGS.root,
            export=FLAGS.export or "",
            limit=FLAGS.limit,
            on_bad_image=FLAGS.on_bad_image,
        )
        return
    if meta is not None and is_few_shot(meta["config"]):
        few_shot()
        return
    if FLAGS.support is not None:
        raise UserError(f"--support is for few-shot runs, which {FLAGS.ckpt} is not")
    run = load_run(FLAGS.ckpt, threshold=FLAGS.threshold)
    if FLAGS.report_classes is not None:
        metric = run.metric | {"report_classes": tuple(FLAGS.report_classes)}
        run = run._replace(metric=metric)
    stages = Stages.of(
        run,
        crf=FLAGS.crf,
        alpha=FLAGS.alpha,
        cams=FLAGS.cams,
        affinity_labels=FLAGS.affinity_labels,
        workers=FLAGS.workers,
    )
    data = dict(run.config["data"])
    data["on_bad_image"] = FLAGS.on_bad_image or data.get("on_bad_image", "stop")
    if FLAGS.root is not None:
        data["root"] = FLAGS.root
    split = FLAGS.split or data["eval_split"]
    if FLAGS.images:
        source, split = photos(FLAGS.images, run.classes), "images"
        data = {"on_bad_image": data["on_bad_image"]}
        chosen = recorded_threshold(run)
    else:
        source = data_pipelines.make_source(
            data, split, classes=run.classes, evaluation=True
        )
        chosen = choose_threshold(run, data, split, limit=FLAGS.limit)
    out = Path(FLAGS.export) if FLAGS.export else run.folder / f"eval-{split}"
    source = part(source, FLAGS.limit)
    write_outputs(out, run, data, source, split=split, stages=stages, chosen=chosen)


def export_backbone() -> None:
    """Writes the backbone of a run as --export_backbone and --names say."""
    run = checkpoint.restore(FLAGS.ckpt)
    count = write_backbone(
        FLAGS.export_backbone,
        run.params,
        run.model_state,
        naming=FLAGS.names,
        note={"run": run.meta["config"]["name"], "step": str(run.step)},
    )
    print(
        f"{count} arrays of {FLAGS.ckpt}, step {run.step}, under the names of "
        f"{FLAGS.names}: {FLAGS.export_backbone}"
    )


def few_shot() -> None:
    """Evaluates a few-shot run on episodes, or segments photos by --support."""
    export_to = FLAGS.export or ""
    if (FLAGS.support is None) != (FLAGS.images is None):
        raise UserError(
            "a few-shot run segments photos with both --support=EXAMPLES and "
            "--images=PHOTOS, and is evaluated on episodes with neither"
        )
    if FLAGS.support is not None:
        fewshot_main.segment_photos(
            FLAGS.ckpt, FLAGS.support, FLAGS.images, export=export_to
        )
        return
    fewshot_main.main(
        FLAGS.ckpt,
        split=FLAGS.split or "",
        root=FLAGS.root,
        export=export_to,
        plans=FLAGS.plans,
        episodes=FLAGS.episodes,
    )


def write_outputs(
    out: Path, run: Run, data: dict, source, *, split: str, stages: Stages, chosen
) -> None:
    """Predicts a source and writes all files; `chosen` as for `summarize`."""
    exported = {"name": "fixed", "threshold": run.threshold}
    if chosen and FLAGS.threshold is None:
        exported = {"name": "chosen", "threshold": chosen["threshold"]}
    background = exported["threshold"]
    if stages.maps and stages.arg_max:  # the threshold was for the CRF
        run, chosen = run._replace(threshold=0.5), None
        exported = {"name": "fixed", "threshold": 0.5}
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
        background=run.has_background,
        scores=FLAGS.scores,
    )
    examples = data_pipelines.make_eval(data, source)
    found = evaluate(
        stages.predictions(run, examples, background=background, out=out),
        metric=make_metric(run.classes, thresholds, **run.metric),
        uses=(write, add_tile),
        total=len(source),
        name=split,
    )
    summary = summarize(
        run,
        found,
        split=split,
        exported=exported,
        chosen=chosen,
        skipped=source.skipped,
        stages=stages.describe(background),
        arg_max=stages.arg_max,
    )
    export.write_classes(out / "classes.txt", run.classes)
    export.write_file(out / "metrics.json", json.dumps(summary, indent=1).encode())
    provenance.write(out, stages.record(run, split, len(source), exported, background))
    report.write_report(
        out / "report.html",
        summary,
        thresholds=thresholds,
        tiles=[tiles[i] for i in sorted(tiles)],
        losses=report.read_losses(run.folder / "metrics.jsonl"),
    )
    print(f"{format_summary(summary)}\n\nreport: {out / 'report.html'}")


if __name__ == "__main__":
    cli.run(main)
