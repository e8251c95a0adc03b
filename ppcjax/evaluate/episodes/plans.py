"""Which episodes are evaluated: classes, and a plan for each shot and seed."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines.episodes import plans as episode_plans
from ppcjax.data_pipelines.episodes.folds import class_ids
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.runs.files import write_file
from ppcjax.types import UserError


class Repetition(NamedTuple):
    """Episodes of one number of shots and one seed: their shape and their plan."""

    shape: episode_plans.Shape
    seed: int
    plan: np.ndarray

    @property
    def file(self) -> str:
        """Name under which the plan is kept."""
        return f"{self.shape.way}way_{self.shape.shot}shot_seed{self.seed}.npy"

    def content(self) -> bytes:
        """The plan as an .npy file."""
        content = io.BytesIO()
        np.save(content, self.plan)
        return content.getvalue()


def repetitions(
    settings: EpisodeSettings,
    source: Source,
    chosen: Sequence[int],
    *,
    skip: bool,
) -> list[Repetition]:
    """The episodes of each number of shots and each seed.

    Args:
        settings: what is evaluated, and the folder of plans that are to be used.
        source: photos with masks.
        chosen: ids of the classes that episodes are of.
        skip: whether photos without a usable mask are left out, instead of raising.
    """
    protocol = settings.resolved()
    counts = episode_plans.count_pixels(source, skip=skip)
    index = episode_plans.class_index(
        source, counts, chosen, min_pixels=protocol.min_pixels
    )
    folder = Path(settings.plans).expanduser()
    found = []
    for shot in settings.shots:
        shape = episode_plans.Shape(settings.way, shot, settings.query)
        for seed in protocol.seeds:
            one = Repetition(shape, seed, np.zeros(0))
            path = folder / one.file
            if settings.plans and path.is_file():
                plan = episode_plans.load_plan(path, shape, source)
                found.append(one._replace(plan=plan))
                continue
            plan = episode_plans.draw_plan(
                index,
                shape,
                episodes=protocol.episodes,
                seed=seed,
                sampling=protocol.sampling,
            )
            found.append(one._replace(plan=plan))
            if settings.plans:
                write_file(path, found[-1].content())
    return found


def evaluated_classes(
    data: dict[str, Any], which: str, classes: Sequence[str]
) -> list[int]:
    """Ids of the classes that episodes are of.

    Args:
        data: config.data of the training.
        which: "novel"; "validation", which is "base" where there are none; or "base",
            those of the training episodes.
        classes: names of the source's classes, background first.
    """
    novel, validation, train = (
        class_ids(f"config.data.{name}", data.get(name, ()), classes)
        for name in ("novel", "validation_classes", "train_classes")
    )
    if which == "novel" and not novel:
        raise UserError(
            "config.data.novel is empty, so no class is held out; name some, or set "
            "config.eval.classes to base"
        )
    if which == "novel":
        return novel
    if which == "validation" and validation:
        return validation
    held_out = {*novel, *validation}
    return train or [c for c in range(1, len(classes)) if c not in held_out]
