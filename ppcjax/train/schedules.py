"""Learning rates over a run, and how they go with the batch."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jax.numpy as jnp
import optax

from ppcjax import fields
from ppcjax.fields import OneOf, Range, kinds
from ppcjax.types import UserError

# Factor of the rate for a batch `share` times the one that it was found with.
BATCH_RULES = {
    "none": lambda share: 1.0,
    "linear": lambda share: share,
    "sqrt": lambda share: share**0.5,
}
Updates = kinds.Updates
Drops = tuple[kinds.Interval, ...]
# Large ones belong to LARS, where they are shares of the norm of an array.
Lr = Annotated[float, Range(above=0, most=1000)]
Power = Annotated[float, Range(0, 100)]
Share = Annotated[float, Range(0, 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast parameters learn: settings that all optimizers share.

    lr: highest rate, that of `base_batch` images; the first one with `power`.
    power: exponent of the schedule `poly`, where `schedule` names no other; 0 keeps
        the rate constant.
    drops: updates from which on the rate of `poly` is a tenth of what it was.
    schedule: another schedule: its name, a key of SCHEDULES, and its settings.
    batch_rule: how `lr` is carried over from `base_batch` to `batch_size` images:
        "none" leaves it, "linear" multiplies it by their ratio, "sqrt" by its root.
    batch_size: images of a global batch; every rule but "none" needs them.
    base_batch: images of the batch that `lr` was found with: 256 with the linear rule
        (lr 1 becomes 4 at 1024 images), 1024 with the square root that an author of
        PixPro recommends for small batches.
    """

    lr: Lr
    power: Power | None = None
    drops: Drops = ()
    schedule: Mapping[str, Any] | None = None
    batch_rule: Annotated[str, OneOf(BATCH_RULES)] = "none"
    batch_size: Annotated[int, Range(0, 10**6), "images"] = 0
    base_batch: Annotated[int, Range(1, 10**6), "images"] = 256

    def over(self, steps: int) -> optax.Schedule:
        """The rate of each update of a run of `steps` updates."""
        lr = for_batch(
            self.lr,
            batch_size=self.batch_size,
            base_batch=self.base_batch,
            rule=self.batch_rule,
        )
        return make(
            lr,
            steps=steps,
            power=self.power,
            drops=self.drops,
            schedule=self.schedule,
        )


def make(
    lr: float,
    *,
    steps: int,
    power: float | None = None,
    drops: Sequence[int] = (),
    schedule: Mapping[str, Any] | None = None,
) -> optax.Schedule:
    """The schedule that an optimizer's settings describe.

    Args:
        lr: the highest rate.
        steps: updates of the run.
        power: exponent of `poly`, which is the schedule where `schedule` is None.
        drops: updates at which the rate of `poly` falls to a tenth.
        schedule: "name", a key of SCHEDULES, and keyword arguments of that function.

    Raises:
        UserError: unknown, missing or wrong settings.
    """
    if schedule is None:
        if power is None:
            raise UserError(
                "config.optim.power is missing; 0 keeps the rate constant, and "
                "config.optim.schedule names another schedule"
            )
        return poly(lr, steps, power=power, drops=drops)
    where = "config.optim.schedule"
    settings = {key: schedule[key] for key in schedule}
    name = settings.pop("name", None)
    fields.check(Annotated[str, OneOf(SCHEDULES)], name, f"{where}.name")
    if power is not None or drops:
        raise UserError(
            "config.optim.power and config.optim.drops do not go with "
            f"config.optim.schedule; remove them, or {where}"
        )
    what = f"schedule {name!r}"
    return fields.build(
        SCHEDULES[name], settings, where=where, what=what, lr=lr, steps=steps
    )


def poly(
    lr: float,
    steps: int,
    *,
    power: Power,
    drops: Drops = (),
) -> optax.Schedule:
    """Rate of update t = 0, 1, ...: lr * (1 - min(t, T - 1) / T)^power with T = steps.

    Past the last planned update it stays what it was, as in the release, whose helper
    leaves it alone then.

    Args:
        lr: the highest rate.
        steps: updates of the run.
        power: exponent; 0 keeps the rate constant.
        drops: updates from which on the rate is a tenth of what it was.
    """

    def rate(count):
        fraction = jnp.minimum(count, steps - 1) / steps
        tenths = sum((count >= drop for drop in drops), start=0)
        return lr * (1.0 - fraction) ** power * 0.1**tenths

    return rate


def warmup_cosine(
    lr: float,
    steps: int,
    *,
    warmup: Updates,
    start: Share = 0.01,
    end: Annotated[float, Range(0, 1000)] = 1e-6,
) -> optax.Schedule:
    """Rate of update t = 0, 1, ...: a line up to `lr`, then half a cosine down.

        t <= W:  lr (start + (1 - start) t / W)
        t > W:   end + (lr - end) (1 + cos(pi (t - W) / (T - W))) / 2

    with T = steps and W = warmup; past T it stays `end`.

    Args:
        lr: the highest rate.
        steps: updates of the run.
        warmup: updates until it is reached, fewer than `steps`.
        start: first rate, as a share of `lr`.
        end: last rate.

    Raises:
        UserError: `warmup` is not below `steps`, or `end` is above `lr`.

    Source: released training program of PixPro.
    """
    _check_warmup(warmup, steps)
    if end > lr:
        raise UserError(
            f"config.optim.schedule.end={end}: give no more than the highest rate, {lr}"
        )

    def rate(count):
        share = jnp.clip((count - warmup) / (steps - warmup), 0.0, 1.0)
        falling = end + (lr - end) * (1.0 + jnp.cos(jnp.pi * share)) / 2.0
        return jnp.where(count < warmup, lr * _rising(count, warmup, start), falling)

    return rate


def warmup_steps(
    lr: float,
    steps: int,
    *,
    warmup: Updates,
    drops: Drops,
    start: Share = 0.01,
) -> optax.Schedule:
    """Rate of update t: a line up to `lr` as above, then a tenth after each drop.

    Args:
        lr: the highest rate.
        steps: updates of the run.
        warmup: updates until it is reached, fewer than `steps`.
        drops: updates from which on the rate is a tenth of what it was.
        start: first rate, as a share of `lr`.

    Raises:
        UserError: `warmup` is not below `steps`.
    """
    _check_warmup(warmup, steps)
    later = poly(lr, steps, power=0.0, drops=drops)
    return lambda count: jnp.where(
        count < warmup, lr * _rising(count, warmup, start), later(count)
    )


def _check_warmup(warmup: int, steps: int) -> None:
    if warmup >= steps:
        raise UserError(
            f"config.optim.schedule.warmup={warmup}: give fewer updates than "
            f"config.steps={steps}"
        )


def _rising(count, warmup, start):
    return start + (1.0 - start) * count / max(warmup, 1)


SCHEDULES = {"warmup_cosine": warmup_cosine, "warmup_steps": warmup_steps}


def for_batch(lr: float, *, batch_size: int, base_batch: int, rule: str) -> float:
    """The rate for another batch than the one that `lr` was found with.

    Args:
        lr: rate for `base_batch` images.
        batch_size: images of a global batch.
        base_batch: images of the batch that `lr` was found with.
        rule: a key of BATCH_RULES.

    Raises:
        UserError: the rule needs a batch size, and there is none.
    """
    if rule == "none":
        return lr
    if batch_size < 1:
        raise UserError(
            f"config.optim.batch_rule={rule!r} needs config.optim.batch_size, the "
            f"images of a global batch; it is {batch_size}"
        )
    return lr * BATCH_RULES[rule](batch_size / base_batch)
