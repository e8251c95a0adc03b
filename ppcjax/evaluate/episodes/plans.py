"""Which episodes are evaluated: classes, and a plan for each shot and seed."""

import io
from collections.abc import Mapping, Sequence
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


class Possible(NamedTuple):
    """What episodes can be made of.

    index: photos by class.
    shots: numbers of supports for which there are photos enough, in the given order.
    left_out: number of supports or class -> why it is left out.
    """

    index: episode_plans.ClassIndex
    shots: tuple[int, ...]
    left_out: dict[str, str]


def possible(
    settings: EpisodeSettings,
    index: episode_plans.ClassIndex,
    *,
    all_shots: bool,
    all_classes: bool,
) -> Possible:
    """What can be evaluated of what is asked for, before the first episode.

    Args:
        settings: what is evaluated.
        index: photos of the classes that are asked for.
        all_shots: whether every number of supports is needed, as somebody typed them.
        all_classes: whether every class is needed, as somebody named them.

    Raises:
        UserError: what is needed, or everything, is impossible.
    """
    query, pixels = settings.query, settings.resolved().min_pixels
    left_out: dict[str, str] = {}
    counts = dict(zip(index.classes, map(len, index.photos), strict=True))
    least = min(settings.shots) + query
    rare = [] if all_classes else [c for c, count in counts.items() if count < least]
    if rare and len(rare) < len(counts):
        index = index.without(rare)
        left_out |= {
            index.names[c]: f"{least} photos of a class are needed, "
            f"{index.names[c]} has {counts.pop(c)}{_of_pixels(pixels)}"
            for c in rare
        }
    shots = []
    for shot in settings.shots:
        few = [c for c, count in counts.items() if count < shot + query]
        if not few:
            shots.append(shot)
            continue
        name = index.names[few[0]]
        left_out[str(shot)] = (
            f"{shot} shot{'s' * (shot > 1)} need{'s' * (shot == 1)} {shot + query} "
            f"photos of a class, {name} has {counts[few[0]]}{_of_pixels(pixels)}"
        )
        if all_shots:
            raise UserError(f"{index.source}: {left_out[str(shot)]}; {_ADVICE}")
    if not shots:
        smallest = str(min(settings.shots))
        raise UserError(f"{index.source}: {left_out[smallest]}; {_ADVICE}")
    return Possible(index, tuple(shots), left_out)


_NONE = np.zeros(0)  # a plan that is not there yet
_ADVICE = "add photos, lower --shots, or leave the class out"


def _of_pixels(least: int) -> str:
    return f" that show {least} pixels of it or more" if least > 1 else ""


def describe_left_out(found: Possible) -> list[str]:
    """What is left out, a line each."""
    shots = ", ".join(map(str, found.shots))
    instead = f"evaluated with {shots} shot{'s' * (found.shots != (1,))}"
    return [
        f"{reason}; {instead if name.isdecimal() else 'that class is left out'}"
        for name, reason in found.left_out.items()
    ]


def repetitions(
    settings: EpisodeSettings,
    source: Source,
    chosen: Sequence[int],
    *,
    skip: bool,
    all_shots: bool = True,
    all_classes: bool = True,
) -> tuple[list[Repetition], Possible]:
    """The episodes of each number of shots and each seed, and what they are made of.

    Args:
        settings: what is evaluated, and the folder of plans that are to be used.
        source: photos with masks.
        chosen: ids of the classes that episodes are of.
        skip: whether photos without a usable mask are left out, instead of raising.
        all_shots: whether every number of supports is needed.
        all_classes: whether every class is needed.

    Raises:
        UserError: photos are too few.
    """
    protocol = settings.resolved()
    counts = episode_plans.count_pixels(source, skip=skip)
    index = episode_plans.class_index(
        source, counts, chosen, min_pixels=protocol.min_pixels
    )
    folder = Path(settings.plans).expanduser()
    asked = [
        Repetition(episode_plans.Shape(settings.way, shot, settings.query), seed, _NONE)
        for shot in settings.shots
        for seed in protocol.seeds
    ]
    kept = {
        one.file for one in asked if settings.plans and (folder / one.file).is_file()
    }
    there = Possible(index, tuple(settings.shots), {})
    if len(kept) < len(asked):
        there = possible(settings, index, all_shots=all_shots, all_classes=all_classes)
    found = []
    for one in asked:
        if one.shape.shot not in there.shots:
            continue
        if one.file in kept:
            plan = episode_plans.load_plan(folder / one.file, one.shape, source)
            found.append(one._replace(plan=plan))
            continue
        plan = episode_plans.draw_plan(
            there.index,
            one.shape,
            episodes=protocol.episodes,
            seed=one.seed,
            sampling=protocol.sampling,
        )
        found.append(one._replace(plan=plan))
        if settings.plans:
            write_file(folder / one.file, found[-1].content())
    return found, there


def are_named(data: Mapping[str, Any], which: str) -> bool:
    """Whether somebody named the classes that `evaluated_classes` gives.

    Else they are all that are left, some of which photos may not show.
    """
    if which == "novel" or data.get("train_classes"):
        return True
    return which == "validation" and bool(data.get("validation_classes"))


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
