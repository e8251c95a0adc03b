"""Scores of an earlier export that walk along the affinities of a network."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ppcjax import data_pipelines
from ppcjax.checkout import program
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.masks.evaluation import probabilities_plan
from ppcjax.evaluate.masks.photos import Photos
from ppcjax.evaluate.masks.settings import AffinitySettings
from ppcjax.evaluate.masks.summary import threshold_text
from ppcjax.evaluate.masks.thresholds import best_threshold
from ppcjax.evaluate.protocol import Plan, Request
from ppcjax.predict.prediction import Prediction
from ppcjax.refine import crf
from ppcjax.refine.stream import Background
from ppcjax.refine.walk import WalkSettings, walk_predictions
from ppcjax.runs import Run, provenance
from ppcjax.types import UserError

_BEHIND_CRF = (
    "its scores are those of a CRF, nearly masks, of which little is left to spread; "
    "maps walk better: export them without --crf"
)


def affinity(
    run: Run, settings: AffinitySettings, request: Request, given: frozenset[str]
) -> Plan:
    """Affinity networks: the scores of an earlier export walk along the affinities."""
    del given
    cams = _checked_cams(run, settings.cams)
    made = provenance.read(cams)
    if (made or {}).get("crf"):
        print(f"warning  --cams={settings.cams}: {_BEHIND_CRF}")
    walk = settings.walk.of_scores(_threshold(made))
    record: dict[str, Any] = {"cams": made}
    if settings.val_cams:
        walk, record["val_cams"] = _chosen(run, settings, request, walk)
    of = Photos.of(run, request)
    found = _walked(run, cams, of.examples(), walk)
    if settings.output.crf and walk.alpha is None:
        found = (for_crf(prediction, walk.background or 0.0) for prediction in found)
    return probabilities_plan(
        run,
        of,
        found,
        settings.scoring,
        settings.output,
        stages=f"random walk of the scores in {cams}, background {_background(walk)}",
        record=record | {"walk_background": walk.background},
    )


def _walked(
    run: Run, cams: Path, examples: Iterable[Any], walk: WalkSettings
) -> Iterator[Prediction]:
    return walk_predictions(
        run.method,
        run.params,
        run.model_state,
        examples,
        lambda name: files.read_scores(cams, name, num_classes=len(run.classes)),
        walk,
        num_classes=len(run.classes),
    )


def for_crf(prediction: Prediction, background: float) -> Prediction:
    """Walked scores as a CRF gets activation maps.

    Beside a background that scores the same everywhere they are too flat for it: where
    an object scores 0.35 and the background 0.27, the CRF goes by colours alone. The
    masks stay as they are.

    Args:
        prediction: scores that walked, as probabilities.
        background: what the background scored in the walk, in [0, 1].
    """
    if not 0 < background < 1:
        return prediction
    exponent = Background(background).exponent
    scores = crf.with_background(prediction.probabilities, exponent)
    return Prediction.of_probabilities(prediction.example, scores)


def _chosen(
    run: Run, settings: AffinitySettings, request: Request, walk: WalkSettings
) -> tuple[WalkSettings, dict[str, Any]]:
    """The walk with the background that is best on the photos of another export.

    Walked scores are compared with the background by s = p / (p + b); the best
    threshold t of s is that of a background b t / (1 - t).

    Raises:
        UserError: these are those that are evaluated, or have nothing to choose by.
    """
    if settings.walk.background is not None or settings.walk.alpha is not None:
        raise UserError(
            f"--val_cams={settings.val_cams}: chooses the score of the background, "
            "which is given; set eval.background and eval.alpha to None, or leave this "
            "out"
        )
    data = request.data(run)
    cams = _checked_cams(run, settings.val_cams)
    made = provenance.read(cams) or {}
    name, split = made.get("split"), request.split_of(data)
    if not isinstance(name, str) or name == split:
        raise UserError(
            f"--val_cams={settings.val_cams}: an export of split {name!r}, but it "
            f"takes one beside {split!r}, which is evaluated; export another split"
        )
    walk = walk.of_scores(_threshold(made))
    source = data_pipelines.make_source(
        data, name, classes=run.classes, evaluation=True, lists=run.lists
    )
    found = _walked(run, cams, data_pipelines.make_eval(data, source), walk)
    chosen = best_threshold(found, source, name, settings.scoring)
    if chosen is None:
        raise UserError(
            f"--val_cams={settings.val_cams}: the masks of {name} show nothing that a "
            "background could be chosen by; leave it out"
        )
    t, before = chosen["threshold"], walk.background or 0.0
    background = min(round(before * t / (1 - t), 6), 1.0)
    told = chosen | {"threshold": background}
    print(f"background {background:.2f} is the best on {name}: {before:.2f} before")
    return dataclasses.replace(walk, background=background), told


def _threshold(made: Any) -> float:
    """At which an export made masks of its scores; that of PPC if it does not say."""
    found = (made or {}).get("threshold")
    return float(found) if isinstance(found, int | float) else 0.27


def _background(walk: WalkSettings) -> str:
    if walk.alpha is not None:
        return f"(1 - best)^{walk.alpha:g}"
    return threshold_text(walk.background or 0.0)


def _checked_cams(run: Run, cams: str) -> Path:
    if not cams:
        raise UserError(
            f"{run.folder} holds an affinity network: give the scores that are to "
            "walk, --cams=EXPORT of an earlier evaluation"
        )
    folder = Path(cams).expanduser()
    if not (folder / "scores").is_dir():
        raise UserError(
            f"--cams={cams}: there is no folder {folder / 'scores'}; export the "
            f"activation maps into it first, with {program('eval')} --export"
        )
    made = (provenance.read(folder) or {}).get("classes")
    if made is not None and made != list(run.classes):
        shown = ", ".join(map(str, made)) if isinstance(made, list) else repr(made)
        raise UserError(
            f"--cams={cams}: its scores are of the classes {shown}, but the run has "
            f"{', '.join(run.classes)}"
        )
    return folder
