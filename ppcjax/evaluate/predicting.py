"""Photos segmented by whatever segments: an evaluation under a simpler face."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from ppcjax import checkout, fields
from ppcjax.console import memory
from ppcjax.data_pipelines import photo_files
from ppcjax.data_pipelines.formats import WRITERS
from ppcjax.data_pipelines.survey.words import many
from ppcjax.evaluate import EVALUATIONS, opening
from ppcjax.evaluate.driver import evaluate
from ppcjax.evaluate.masks.settings import RefineScale, Turns
from ppcjax.evaluate.protocol import Request
from ppcjax.evaluate.results import looked_at
from ppcjax.evaluate.training import settings_of
from ppcjax.fields import OneOf, Range, kinds
from ppcjax.fields.options import read as read_options
from ppcjax.predict import needs
from ppcjax.refine.crf import PRESETS
from ppcjax.runs import Run, lock
from ppcjax.runs.files import check_writable
from ppcjax.types import UserError

# What a run gives -> the evaluation that segments photos with it.
_BY = {"maps": "maps", "logits": "logits", "episodes": "supports"}
# Options that are settings of the evaluation, by the same names.
_SETTINGS = (
    *("threshold", "pixel_refine", "pixel_refine_scale", "crf"),
    *("batch_size", "max_side"),
)
# What to do where a run gives no masks.
_INSTEAD = {
    "affinity": "predict with the run whose scores it is to spread, with --scores, and "
    "then spread them: {eval} --ckpt {run} --cams DIR",
    "features": "it has no classes: start another run from it with config.init_from",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What may be said of a prediction.

    out: folder of the results.
    format: formats in which the masks are written besides, each into a folder of its
        name, see docs/formats.md.
    threshold: score above which a pixel is no background; None: what an evaluation of
        the run chose, else its config's.
    pixel_refine: how often scores are spread to near pixels of like colour, before the
        CRF; 10 as published; None: the config's.
    pixel_refine_scale: factor of the photo's sides at which that is done; None: the
        config's.
    crf: preset of the dense CRF that sharpens the masks; empty: the config's.
    batch_size: photos of up to 512 x 512 pixels at once; fewer need less memory; None:
        the config's.
    max_side: longest side for the network, to which longer photos are shrunk; None:
        the config's.
    scores: whether the score of each class is written, too: by far the largest files.
    limit: largest number of photos, evenly spaced; None: all.
    on_bad_image: what happens at a photo that cannot be read: it is left out, named in
        the table, or all stops.
    anew: whether finished photos are predicted again where something else made them.
    support: folder of masked examples that a few-shot run learns the classes from.
    """

    out: str = "predicted"
    format: tuple[Annotated[str, OneOf(tuple(WRITERS))], ...] = ()
    threshold: Annotated[float, Range(0, below=1)] | None = None
    pixel_refine: Turns | None = None
    pixel_refine_scale: RefineScale | None = None
    crf: Annotated[str, OneOf(("", *PRESETS))] = ""
    batch_size: Annotated[kinds.Batch, "photos"] | None = None
    max_side: kinds.Side | None = None
    scores: bool = False
    limit: Annotated[int, Range(1, kinds.MOST), "photos"] | None = None
    on_bad_image: Literal["skip", "stop"] = "skip"
    anew: bool = False
    support: str = ""


class Asked(NamedTuple):
    """A command line.

    options: values of the options.
    given: names of those that were given.
    config: what --config names; None where it is not given.
    run: run, exported model or file of weights; "" where only a config is given.
    photos: files, folders and patterns.
    """

    options: Options
    given: frozenset[str]
    config: Mapping[str, Any] | None
    run: str
    photos: tuple[str, ...]


def read(argv: Sequence[str], usage: str) -> Asked:
    """Reads a command line.

    Args:
        argv: arguments behind the word, options with underscores.
        usage: how it is typed, for messages.

    Raises:
        UserError: an option is unknown or its value not allowed, or something is
            missing.
    """
    of_config, rest = opening.split(argv)
    values, _, words = read_options(
        rest,
        fields.fields_of(Options),
        what="predict",
        hint=", --config; a photo whose name begins with - is ./-NAME",
    )
    if not values.get("out", "predicted"):
        raise UserError("--out needs a folder: --out DIR")
    config = opening.read_config(of_config)
    run = ""
    if words and (config is None or _is_weights(words[0])):
        run, *words = words
    if not run and not config:
        raise UserError(f"RUN is missing; usage: {usage}")
    if not words:
        raise UserError(f"no photos are given behind {run or 'RUN'}; usage: {usage}")
    options = fields.build(Options, values, where="options", what="predict")
    return Asked(options, frozenset(values), config, run, tuple(words))


def _is_weights(word: str) -> bool:
    """Whether a word beside --config is a file of weights: no photo, no folder."""
    return os.path.isfile(os.path.expanduser(word)) and (
        photo_files.why_passed_over(word) is not None
    )


def predict(asked: Asked, command: str) -> dict[str, Any]:
    """Segments photos; writes masks, overlays, the table and a report.

    Args:
        asked: what is to be done.
        command: what was typed, for the record.

    Returns:
        What metrics.json holds.

    Raises:
        UserError: the run gives no masks, the photos cannot be read, or the results
            cannot be written.
    """
    options = asked.options
    run = opening.open_any(asked.run, asked.config, photos=True)
    name = _evaluation(run, asked)
    values = dict(run.evaluation) if name == run.method.gives else {}
    values |= {"scores": options.scores, "export_format": options.format}
    values |= {n: getattr(options, n) for n in _SETTINGS if n in asked.given}
    if name == "supports":
        values["support"] = options.support
    if values.get("crf"):
        values["workers"] = max((os.cpu_count() or 1) - 1, 0)
    evaluation = EVALUATIONS[name]
    settings = settings_of(evaluation, values, f"the prediction of {run.name}")
    request = Request(
        photos=asked.photos,
        export=options.out,
        limit=options.limit,
        on_bad_image=options.on_bad_image,
        anew=options.anew,
    )
    out = request.out(run, "photos")
    lowered = {n: v for n, v in fields.flat(settings).items() if n in _SETTINGS}
    with memory.guarded("predicting", needs.advice(lowered, "--")):
        folder = looked_at(run, request)
        check_writable(out / "metrics.json", "--out=DIR")
        plan = evaluation.plan(run, settings, request, asked.given)
        print(f"results go to {out}/", flush=True)
        plan = plan._replace(
            unit="photos", text=lambda metrics: _told(metrics, out, options)
        )
        with lock.written(out):
            metrics = evaluate(name, plan, settings, folder, command=command)
    if not metrics["images"]:
        raise UserError(
            f"none of the photos could be read, so that {out} holds no mask: see the "
            'column "left out" of photos.csv'
        )
    return metrics


def _evaluation(run: Run, asked: Asked) -> str:
    """Name of the evaluation that segments photos with a run."""
    gives, support = run.method.gives, asked.options.support
    if gives not in _BY:
        advice = _INSTEAD[gives].format(eval=checkout.program("eval"), run=asked.run)
        raise UserError(f"{run.name} gives no masks by itself; {advice}")
    if gives == "episodes" and not support:
        raise UserError(
            f"{run.name} learns its classes from examples: give a folder of masked "
            "photos, --support EXAMPLES"
        )
    if gives != "episodes" and support:
        raise UserError(
            f"--support={support}: {run.name} has classes of its own, so that examples "
            "would do nothing; leave it out, or give a few-shot run"
        )
    return _BY[gives]


def _told(metrics: Mapping[str, Any], out: Path, options: Options) -> str:
    """What there is in the end, in a few lines."""
    folders = ["masks/", "overlays/", *(["scores/"] if options.scores else [])]
    folders += [f"{name}/" for name in dict.fromkeys(options.format)]
    lines = [f"{many(metrics['images'], 'photo')}: {', '.join(folders)} in {out}"]
    if metrics["skipped"]:
        count = many(len(metrics["skipped"]), "photo")
        lines.append(f'{count} could not be read: see the column "left out"')
    return "\n".join([*lines, f"table: {out / 'photos.csv'}"])
