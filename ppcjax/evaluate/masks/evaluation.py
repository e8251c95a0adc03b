"""Evaluations that end in masks: activation maps, segmenters, walks, examples.

Each makes a stream of predictions; what follows is the same for all: refined pixels and
a CRF where they are asked for, files, mean IoU at every threshold, and the report.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ppcjax.console import screen
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.subset import evenly_spaced
from ppcjax.evaluate.masks import files, gallery, table
from ppcjax.evaluate.masks.metric import make_metric
from ppcjax.evaluate.masks.photos import Photos
from ppcjax.evaluate.masks.settings import (
    LogitSettings,
    MapSettings,
    Output,
    Scoring,
)
from ppcjax.evaluate.masks.summary import (
    Scored,
    format_summary,
    scores,
    summarize,
    threshold_text,
)
from ppcjax.evaluate.masks.thresholds import choose_threshold
from ppcjax.evaluate.protocol import Plan, Request, added
from ppcjax.predict.photos import predict_photos, recorded_threshold
from ppcjax.predict.prediction import Prediction, usual_threshold
from ppcjax.refine.crf import preset
from ppcjax.refine.stream import Background, refine_predictions, with_affinity_labels
from ppcjax.runs import Run
from ppcjax.runs.ours import Folder
from ppcjax.types import UserError


def maps(
    run: Run, settings: MapSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Activation maps: a threshold, which a validation split chooses, makes masks."""
    fixed = _fixed(run, settings.scoring)
    if settings.alpha is not None and "threshold" in given:
        raise UserError(
            f"--threshold={threshold_text(fixed)}: the background of the CRF comes "
            f"from alpha {settings.alpha:g}, so that it would do nothing; leave one out"
        )
    of = Photos.of(run, request)
    chosen = _chosen(run, settings, fixed, request)
    exported = {"name": "fixed", "threshold": fixed}
    if chosen and "threshold" not in given:
        exported = {"name": "chosen", "threshold": chosen["threshold"]}
    below = exported["threshold"]  # where the background is the likelier
    of = of.going_on(run, settings, exported=exported)
    found = predict_photos(
        run,
        of.examples(),
        {"scaling": settings.scaling, "convention": settings.convention},
    )
    output, behind, unswept = settings.output, "", ""
    found = output.before_crf(found)
    if settings.affinity_labels is not None:
        crf = preset(output.crf) if output.crf else None
        if settings.affinity_labels == "auto":
            screen.line(
                f"labels for affinity: foreground above {threshold_text(below)}, "
                f"background below {threshold_text(below / 3)}"
            )
        found = with_affinity_labels(
            found, settings.labelled(below), crf, workers=output.workers
        )
    if output.crf:
        behind, unswept = _behind_crf(settings, exported)
        # The threshold was for the CRF, whose arg-max counts.
        fixed, chosen = 0.5, None
        exported = {"name": "fixed", "threshold": 0.5}
    scored = Scored(
        classes=run.classes,
        background=True,
        threshold=fixed,
        chosen=chosen,
        exported=exported,
        report_classes=settings.scoring.report_classes,
        absent=settings.scoring.absent,
        stages=output.stages(last=behind),
        arg_max=bool(output.crf),
        unswept=unswept,
    )
    record = {"alpha": settings.alpha, "affinity_labels": settings.affinity_labels}
    background = Background(below, settings.alpha)
    return masks_plan(run, of, found, scored, output, background, record)


def _chosen(
    run: Run, settings: MapSettings, fixed: float, request: Request
) -> dict[str, Any] | None:
    """The threshold that a validation split chooses, or chose; None for none."""
    if request.trial or settings.alpha is not None:
        return None  # of no use: it chooses nothing; the CRF's background is another
    if request.elsewhere:
        return recorded_threshold(run)
    data = request.data(run)
    split = request.split_of(data)
    return choose_threshold(run, settings, fixed, data, split, limit=request.limit)


def _behind_crf(settings: MapSettings, exported: Mapping[str, Any]) -> tuple[str, str]:
    """In words: what followed the network, and why no other threshold is scored."""
    t, crf = threshold_text(exported["threshold"]), f"dense CRF {settings.output.crf}"
    if settings.alpha is None:
        return f"{crf}, background as likely as a score of {t}", (
            f"the threshold {t} ({exported['name']}) counts before the CRF, which gets "
            "its background from it: for the masks of another threshold, evaluate "
            "again with --threshold"
        )
    background = f"(1 - best)^{settings.alpha:g}"
    return f"{crf}, background {background}", (
        f"the background of the CRF is {background}, whatever the threshold: for other "
        "masks, evaluate again with another --alpha"
    )


def logits(
    run: Run, settings: LogitSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Segmenters: masks are the arg-max of class probabilities."""
    del given
    of = Photos.of(run, request).going_on(run, settings)
    found = predict_photos(
        run,
        of.examples(),
        {"scaling": settings.scaling, "windows": settings.windows.resolved()},
    )
    return probabilities_plan(run, of, found, settings.scoring, settings.output)


def probabilities_plan(
    run: Run,
    of: Photos,
    found: Iterator[Prediction],
    scoring: Scoring,
    output: Output,
    *,
    stages: str = "",
    record: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of predictions whose masks are the arg-max of probabilities.

    Args:
        run: network that is evaluated; its classes are those of the masks.
        of: photos.
        found: predictions of the photos.
        scoring: how they are scored.
        output: what follows and what is written.
        stages: what followed the network so far, in words.
        record: further entries of provenance.json.
    """
    fixed = _fixed(run, scoring)
    has_background = run.classes[0] == BACKGROUND
    if not has_background and fixed != usual_threshold("logits"):
        raise UserError(
            f"threshold {fixed}: the classes of this run have no background that a "
            "threshold could set apart; leave it out"
        )
    crf = f"dense CRF {output.crf}" if output.crf else ""
    scored = Scored(
        classes=run.classes,
        background=has_background,
        threshold=fixed,
        chosen=None,
        exported={"name": "fixed", "threshold": fixed},
        report_classes=scoring.report_classes,
        absent=scoring.absent,
        stages=output.stages(first=stages, last=crf),
        arg_max=True,
    )
    found = output.before_crf(found)
    return masks_plan(run, of, found, scored, output, Background(fixed), record or {})


def masks_plan(
    run: Run,
    of: Photos,
    found: Iterator[Prediction],
    scored: Scored,
    output: Output,
    background: Background,
    record: Mapping[str, Any],
) -> Plan:
    """The plan of predictions that become masks.

    Args:
        run: network that is evaluated.
        of: photos.
        found: predictions of the photos.
        scored: what their scores are of.
        output: what follows and what is written.
        background: how likely it is beside activation maps, for the CRF.
        record: further entries of provenance.json.
    """
    metric = scored.metric()  # names that are no class are said before the first photo
    if output.crf:
        found = refine_predictions(
            found, preset(output.crf), background, workers=output.workers
        )
    shown = frozenset(evenly_spaced(of.source.ids, output.gallery))
    rows = dict(of.rows)  # of the photos that are not predicted again
    formats = files.format_writer(
        output.export_format, of.source, scored.classes, scored.background
    )

    def count(prediction):
        counts = {"predicted": 1}
        if prediction.example.mask is None:
            return counts
        return counts | metric.count({"scores": prediction.scores}, prediction.example)

    def write(prediction: Prediction, folder: Folder):
        how = {"background": scored.background, "scores": output.scores}
        threshold = scored.exported["threshold"]
        written = files.write_prediction(prediction, folder, threshold=threshold, **how)
        rows[prediction.example.id] = written.row
        of.note(prediction, written.files, written.row)

    def tile(prediction):
        there = prediction.example.id in shown
        return gallery.make_tile(prediction, scored.thresholds) if there else None

    def page(metrics, tiles):
        tiles = sorted(tiles, key=lambda tile: of.source.ids.index(tile.id))
        told = [rows[name] for name in of.source.ids if name in rows]
        return gallery.page(metrics, tiles, scored.thresholds, told)

    return Plan(
        run=run,
        split=of.split,
        predictions=found,
        total=len(of.source),
        unit="images",
        count=count,
        summarize=partial(_results, scored, len(of.finished)),
        score=scores,
        write=write,
        tile=tile,
        text=format_summary,
        page=page,
        files={"classes.txt": files.class_list(scored.classes)},
        finish=table.writer(formats, rows, of.source, scored.classes),
        record={
            "threshold": scored.exported["threshold"],
            "background": background.threshold,
            **output.record(),
            "masks": run.config["data"].get("masks") or None,
            **record,
        },
        skipped=of.source.skipped,
        account=of.account,
        kept=len(of.finished),
        complete=of.complete,
    )


def trial(settings: Any, data: Mapping[str, Any]) -> tuple[Any, str]:
    """Evaluation of the network alone on the validation split."""
    split = data.get("val_split")
    if not split or split == data.get("eval_split"):
        raise UserError(
            f"config.data.val_split={split!r}: evaluating while training needs a "
            "validation split other than config.data.eval_split, whose scores are "
            "reported; name one, or set config.eval_every=0"
        )
    alone = {"output": Output()}
    if isinstance(settings, MapSettings):
        alone |= {"alpha": None, "affinity_labels": None}
    return dataclasses.replace(settings, **alone), split


def check(settings: Any, data: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    """Raises UserError for names that are no class."""
    del data
    make_metric(classes, report_classes=settings.scoring.report_classes)


def _fixed(run: Run, scoring: Scoring) -> float:
    if scoring.threshold is None:
        return usual_threshold(run.method.gives)
    return scoring.threshold


def _results(scored: Scored, kept: int, counts: Mapping[str, Any]) -> dict[str, Any]:
    """The summary, with the photos that an interrupted export had."""
    return summarize(added(counts, {"predicted": kept}), scored)
