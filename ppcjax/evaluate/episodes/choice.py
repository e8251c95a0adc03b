"""Which checkpoint of a few-shot run counts: the best one on classes nobody reports.

The released programs keep the checkpoint that does best on the very classes they then
report. Here held-out classes take no part in the choice: it is made on episodes of
config.data.validation_classes, or, where none are named, of the training classes.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from ppcjax import data_pipelines
from ppcjax.evaluate.episodes.evaluation import evaluate
from ppcjax.evaluate.episodes.protocols import EpisodeEvaluation
from ppcjax.evaluate.masks.files import write_file
from ppcjax.predict.fewshot_model import CHOICE_FILE, chosen_checkpoint, load_model
from ppcjax.runs import checkpoint


def choose(
    run: str | Path, settings: EpisodeEvaluation, data: dict[str, Any]
) -> dict[str, Any] | None:
    """Chooses a checkpoint of a run and notes it in RUN/choice.json.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        settings: config.eval of the run; `choice_episodes` episodes of its first number
            of shots and its first seed are used.
        data: config.data of the run, with the root where it lies now.

    Returns:
        What the file holds: "step"; "mean_iou", a dict of step -> score; "classes",
        "held_out" (whether training left them out), "split", "episodes" and "shot".
        None where there is nothing to choose: a step was named, one checkpoint is
        kept, or settings.choice_episodes is 0.
    """
    folder = checkpoint.run_folder(run)
    steps = checkpoint.saved_steps(folder)
    if Path(run).name.isdigit() or len(steps) < 2 or not settings.choice_episodes:
        return None
    if chosen_checkpoint(folder) != folder:
        return json.loads((folder / CHOICE_FILE).read_text())
    model = load_model(folder)
    split = data.get("val_split") or data["eval_split"]
    source = data_pipelines.make_source(data, split, classes=model.classes)
    trial = dataclasses.replace(
        settings,
        classes="validation",
        episodes=settings.choice_episodes,
        seeds=settings.resolved().seeds[:1],
        shots=settings.shots[:1],
    )
    scores = {}
    for step in steps:
        restored = checkpoint.restore(folder / checkpoint.FOLDER / str(step))
        at_step = model._replace(
            step=step, params=restored.params, model_state=restored.model_state
        )
        found = evaluate(at_step, source, data=data, settings=trial)
        scores[step] = found["shots"][trial.shots[0]]["mean_iou"]["mean"]
    choice = {
        "step": max(scores, key=lambda step: (scores[step], step)),
        "mean_iou": {str(step): score for step, score in scores.items()},
        "classes": found["protocol"]["classes"],
        "held_out": bool(data.get("validation_classes")),
        "split": split,
        "episodes": trial.episodes,
        "shot": trial.shots[0],
    }
    write_file(folder / CHOICE_FILE, json.dumps(choice, indent=1).encode())
    return choice


def describe(choice: dict[str, Any] | None) -> str:
    """One line on the choice; "" for None."""
    if choice is None:
        return ""
    scores = ", ".join(
        f"{step}: {100 * score:.1f}" for step, score in choice["mean_iou"].items()
    )
    kind = "that training left out" if choice["held_out"] else "that training saw"
    return (
        f"checkpoint {choice['step']} is the best by {choice['shot']}-shot mean IoU on "
        f"{choice['episodes']} episodes of {', '.join(choice['classes'])}, classes "
        f"{kind} ({scores})"
    )
