"""Which checkpoint of a few-shot run counts: the best one on classes nobody reports.

The released programs keep the checkpoint that does best on the very classes they then
report. Here held-out classes take no part in the choice: it is made on episodes of
config.data.validation_classes, or, where none are named, of the training classes.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.runs import Run, checkpoint, open_run
from ppcjax.runs.checked import read_json
from ppcjax.runs.files import note_json
from ppcjax.runs.run import CHOICE_FILE, chosen_checkpoint

_LOGGER = logging.getLogger(__name__)
_NOT_COMPARED = "%s: damaged when a checkpoint was chosen, and left out: %s"


def trial(
    settings: EpisodeSettings, data: Mapping[str, Any]
) -> tuple[EpisodeSettings, str]:
    """Settings and split of the episodes by which a checkpoint is chosen."""
    shorter = dataclasses.replace(
        settings,
        classes="validation",
        episodes=settings.choice_episodes or settings.episodes,
        seeds=settings.resolved().seeds[:1],
        shots=(min(settings.shots),),
        plans="",
    )
    return shorter, data.get("val_split") or data["eval_split"]


def chosen(
    run: Run,
    settings: EpisodeSettings,
    data: Mapping[str, Any],
    results_of: Callable[..., Mapping[str, Any]],
) -> tuple[Run, dict[str, Any] | None]:
    """A run at the checkpoint that counts, which RUN/choice.json then names.

    Args:
        run: at any of its checkpoints.
        settings: what its evaluation is done with.
        data: config.data of the run, with the root where it lies now.
        results_of: (run, settings, split, data) -> results on episodes.

    Returns:
        The run, and what the file holds: "step"; "mean_iou", a dict of step -> score;
        "classes", "held_out" (whether training left them out), "split", "episodes",
        "shot"; "damaged", steps that could not be compared, if any. None where there
        is nothing to choose: a step was named, one checkpoint is kept, or
        `choice_episodes` is 0.
    """
    steps = checkpoint.saved_steps(run.folder)
    if run.named or len(steps) < 2 or not settings.choice_episodes:
        return run, None
    if chosen_checkpoint(run.folder) is not None:
        choice = read_json(run.folder / CHOICE_FILE)
        if choice.get("damaged"):
            _LOGGER.warning(_NOT_COMPARED, run.folder, _listed(choice))
        return run, choice
    short, split = trial(settings, data)
    scores, damaged = {}, []
    for step in steps:
        try:
            at_step = open_run(run.folder / checkpoint.FOLDER / str(step))
        except checkpoint.Damaged as error:
            _LOGGER.warning("%s; it is not compared", error)
            damaged.append(step)
            continue
        found = results_of(at_step, short, split, data)
        scores[step] = found["shots"][short.shots[0]]["mean_iou"]["mean"]
    if not scores:
        return run, None
    choice = {
        "step": max(
            scores, key=lambda step: (np.nan_to_num(scores[step], nan=-1), step)
        ),
        "mean_iou": {str(step): score for step, score in scores.items()},
        "classes": found["protocol"]["classes"],
        "held_out": bool(data.get("validation_classes")),
        "split": split,
        "episodes": short.episodes,
        "shot": short.shots[0],
        **({"damaged": damaged} if damaged else {}),
    }
    noted = note_json(run.folder / CHOICE_FILE, choice)
    print(describe(choice))
    if noted:
        return open_run(run.folder), choice
    return open_run(run.folder / checkpoint.FOLDER / str(choice["step"])), choice


def describe(choice: Mapping[str, Any] | None) -> str:
    """One line on the choice; "" for None."""
    if choice is None:
        return ""
    scores = ", ".join(
        f"{step}: {100 * score:.1f}" for step, score in choice["mean_iou"].items()
    )
    kind = "that training left out" if choice["held_out"] else "that training saw"
    left = f"; damaged and left out: {_listed(choice)}" * bool(choice.get("damaged"))
    return (
        f"checkpoint {choice['step']} is the best by {choice['shot']}-shot mean IoU on "
        f"{choice['episodes']} episodes of {', '.join(choice['classes'])}, classes "
        f"{kind} ({scores}){left}"
    )


def _listed(choice: Mapping[str, Any]) -> str:
    return ", ".join(map(str, choice.get("damaged", ())))
