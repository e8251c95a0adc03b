"""Photos segmented by masked examples, which a few-shot run learns from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import softmax

from ppcjax.data_pipelines.episodes.supports import Supports, read_supports
from ppcjax.evaluate.masks.evaluation import probabilities_plan
from ppcjax.evaluate.masks.photos import Photos
from ppcjax.evaluate.masks.settings import SupportSettings
from ppcjax.evaluate.protocol import Plan, Request
from ppcjax.predict import supports as few_shot
from ppcjax.predict.prediction import Finished, Prediction
from ppcjax.report import page as pages
from ppcjax.report.html import render
from ppcjax.runs import Run
from ppcjax.types import UserError


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
