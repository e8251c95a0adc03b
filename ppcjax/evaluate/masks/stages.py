"""Evaluations whose scores come from elsewhere: an earlier export, masked examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from ppcjax.checkout import program
from ppcjax.data_pipelines.episodes.supports import Supports, read_supports
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.masks.evaluation import probabilities_plan
from ppcjax.evaluate.masks.photos import Photos
from ppcjax.evaluate.masks.settings import AffinitySettings, SupportSettings
from ppcjax.evaluate.masks.summary import threshold_text
from ppcjax.evaluate.protocol import Plan, Request
from ppcjax.predict import supports as few_shot
from ppcjax.predict.prediction import Finished, Prediction
from ppcjax.refine.walk import WalkSettings, walk_predictions
from ppcjax.report import page as pages
from ppcjax.report.html import render
from ppcjax.runs import Run, provenance
from ppcjax.types import UserError


def affinity(
    run: Run, settings: AffinitySettings, request: Request, given: frozenset[str]
) -> Plan:
    """Affinity networks: the scores of an earlier export walk along the affinities."""
    del given
    cams = _checked_cams(run, settings.cams)
    made = provenance.read(cams)
    walk = settings.walk.of_scores(_threshold(made))
    of = Photos.of(run, request)
    found = walk_predictions(
        run.method,
        run.params,
        run.model_state,
        of.examples(),
        lambda name: files.read_scores(cams, name, num_classes=len(run.classes)),
        walk,
        num_classes=len(run.classes),
    )
    return probabilities_plan(
        run,
        of,
        found,
        settings.scoring,
        settings.output,
        stages=f"random walk of the scores in {cams}, background {_background(walk)}",
        record={"cams": made, "walk_background": walk.background},
    )


def supports(
    run: Run, settings: SupportSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Photos segmented by masked examples, without training."""
    del given
    if not settings.support or not request.elsewhere:
        raise UserError(
            "a few-shot run segments photos with both --support=EXAMPLES and "
            "--images=PHOTOS, and is evaluated on episodes with neither"
        )
    examples = read_supports(settings.support)
    for line in (*examples.text, *(f"  warning  {w}" for w in examples.warnings)):
        print(line)
    fitted = few_shot.fit(
        examples.images,
        examples.masks,
        run=run,
        names=examples.names,
        size=settings.size,
        none_of_these=settings.none_of_these,
    )
    named = run._replace(classes=("background", *fitted.names))
    of = Photos.of(named, request).going_on(
        named, settings, prototypes=fitted.as_file()
    )
    plan = probabilities_plan(
        named,
        of,
        _by_examples(fitted, of.examples()),
        settings.scoring,
        settings.output,
        stages=_described(fitted, len(examples.ids), settings.support),
    )
    plan = plan._replace(files={**plan.files, "prototypes.npz": fitted.as_file()})
    return _with_examples(plan, examples)


def _with_examples(plan: Plan, examples: Supports) -> Plan:
    """The plan whose metrics.json and report say what was read of the examples."""
    told = {"text": list(examples.text), "warnings": list(examples.warnings)}

    def summarize(counts):
        return {**plan.summarize(counts), "examples": told}

    def page(metrics, tiles):
        found = plan.page(metrics, tiles)
        lines = [*examples.text, *examples.warnings]
        section = pages.section("Examples", render("lines.html", lines=lines))
        return found._replace(sections=[*found.sections, section])

    return plan._replace(summarize=summarize, page=page)


def _described(fitted: few_shot.Prototypes, count: int, folder: str) -> str:
    parts = [f"classes learnt from {count} examples in {folder}"]
    if fitted.run.untrained:
        parts[0] += ", on a network that was not trained for few-shot"
    if fitted.least:
        least = zip(fitted.names, fitted.least, strict=True)
        shown = ", ".join(f"{value:.2f} to {name}" for name, value in least)
        parts.append(f"none of these below a similarity of {shown}")
    return "; ".join(parts)


def _by_examples(
    fitted: few_shot.Prototypes, examples: Iterator[Any]
) -> Iterator[Prediction]:
    for example in examples:
        if isinstance(example, Finished):
            continue
        probabilities = softmax(fitted.logits(example.image), axis=-1)
        yield Prediction.of_probabilities(example, probabilities.astype(np.float32))


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
