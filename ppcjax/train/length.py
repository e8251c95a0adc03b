"""How long a run is: passes over its photos, within a bound on the time."""

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

# With fewer updates weights have hardly moved, however few photos there are.
LEAST_STEPS = 200


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a run is.

    steps: updates.
    photos: how many there are to learn from.
    per_step: photos that an update reads.
    passes: how many were asked for; 0: the steps were.
    minutes: bound on the time of training; 0: none.
    bounded: whether the bound has lowered the steps.
    """

    steps: int
    photos: int
    per_step: int
    passes: float = 0.0
    minutes: float = 0.0
    bounded: bool = False

    def within(self, seconds: float) -> "Length":
        """The same where it ends within the bound, else as long as that allows.

        Args:
            seconds: time of a step; 0 where it is not known.
        """
        most = self.minutes * 60
        if not most or self.steps * seconds <= most:
            return self
        steps = max(_round_down(int(most / seconds)), 1)
        return dataclasses.replace(self, steps=steps, bounded=True)

    def text(self, seconds: float) -> str:
        """A line on the steps, what they come from, and how long they take.

        Args:
            seconds: time of a step; 0 where it is not known.
        """
        made = self.steps * self.per_step / max(self.photos, 1)
        line = f"{self.steps:,} steps: {_number(made)} passes over {self.photos} photos"
        asked = f"{_number(self.passes)} asked for, "
        if self.bounded:
            line += f" ({asked}within {_number(self.minutes)} minutes)"
        elif self.steps == LEAST_STEPS and made > self.passes:
            line += f" ({asked}at least {LEAST_STEPS} steps)"
        return f"{line}: {duration(self.steps * seconds)}" if seconds else line


def planned(passes: float, minutes: float, photos: int, each: int) -> Length:
    """The length of a new run whose config asks for passes, before any measure.

    Args:
        passes: how often each photo is to be learnt from.
        minutes: bound on the time; 0: none.
        photos: number of photos to learn from.
        each: photos that an update reads.
    """
    steps = max(math.ceil(passes * photos / each), LEAST_STEPS)
    return Length(steps, photos, each, passes, minutes)


def photos_per_step(data: Mapping[str, Any], reads: str) -> int:
    """Photos that an update reads; of an episode its examples and its queries."""
    if reads == "episodes":
        each = data["way"] * data["shot"] + data.get("query", 1)
        return data["batch_size"] * each
    return data["batch_size"]


def at(config: Any, steps: int) -> dict[str, Any]:
    """A config for so many steps, JSON types: what refers to config.steps follows.

    Where the steps of the config are counted in passes, there are at least ten log
    lines, four checkpoints and an evaluation, if any; and a warm-up that would not end
    takes a tenth of the steps.

    Args:
        config: ConfigDict.
        steps: updates of the run.
    """
    counted = copy.deepcopy(config)
    counted.steps = steps
    found = counted.to_dict()
    if config.steps:
        return found
    for name, parts in (("log_every", 10), ("checkpoint_every", 4), ("eval_every", 1)):
        found[name] = min(found[name], max(steps // parts, 1))
    schedule = found["optim"].get("schedule") or {}
    if schedule.get("warmup", 0) >= steps:
        found["optim"]["schedule"] = schedule | {"warmup": steps // 10}
    return found


def duration(seconds: float) -> str:
    """A time to wait, in words."""
    if seconds < 60:
        return "less than a minute at this speed"
    if seconds < 90 * 60:
        minutes = round(seconds / 60)
        return f"about {minutes} minute{'s' * (minutes > 1)} at this speed"
    return f"about {_number(seconds / 3600)} hours at this speed"


def _round_down(steps: int) -> int:
    """To two digits, so that the next measure gives the same number."""
    unit = 10 ** max(len(str(steps)) - 2, 0)
    return steps // unit * unit


def _number(value: float) -> str:
    """With a decimal below 10, if it has one."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
