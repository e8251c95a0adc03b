"""Learning rates over a run, and how they go with the batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from ppcjax.types import UserError


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
        power: of `poly`, which is the schedule where `schedule` is None.
        drops: of `poly`.
        schedule: "name", a key of SCHEDULES, and keyword arguments of that function.

    Raises:
        UserError: unknown or missing settings.
    """
    if schedule is None:
        if power is None:
            raise UserError("config.optim.power is missing; 0 keeps the rate constant")
        return poly(lr, power=power, steps=steps, drops=drops)
    settings = {key: schedule[key] for key in schedule}
    name = settings.pop("name", None)
    if name not in SCHEDULES:
        raise UserError(
            f"config.optim.schedule.name={name!r}: choose one of {', '.join(SCHEDULES)}"
        )
    if power is not None or drops:
        raise UserError("config.optim.power and drops do not go with a schedule")
    try:
        return SCHEDULES[name](lr, steps=steps, **settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"config.optim.schedule does not fit: {error}") from error


def poly(
    lr: float, *, power: float, steps: int, drops: Sequence[int] = ()
) -> optax.Schedule:
    """Rate of update t = 0, 1, ...: lr * (1 - min(t, T - 1) / T)^power with T = steps.

    It is divided by 10 for each of `drops` that t has reached. Past the last planned
    update it stays what it was, as in the release, whose helper leaves it alone then.
    """

    def rate(count):
        fraction = jnp.minimum(count, steps - 1) / steps
        tenths = sum((count >= drop for drop in drops), start=0)
        return lr * (1.0 - fraction) ** power * 0.1**tenths

    return rate


def warmup_cosine(
    lr: float, *, steps: int, warmup: int, start: float = 0.01, end: float = 1e-6
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
        ValueError: `warmup` is not in [0, steps).

    Source: released training program of PixPro.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup={warmup} must be from 0 to below steps={steps}")

    def rate(count):
        share = jnp.clip((count - warmup) / (steps - warmup), 0.0, 1.0)
        falling = end + (lr - end) * (1.0 + jnp.cos(jnp.pi * share)) / 2.0
        return jnp.where(count < warmup, lr * _rising(count, warmup, start), falling)

    return rate


def warmup_steps(
    lr: float, *, steps: int, warmup: int, drops: Sequence[int], start: float = 0.01
) -> optax.Schedule:
    """Rate of update t: a line up to `lr` as above, then a tenth after each drop.

    Args:
        lr: the highest rate.
        steps: updates of the run.
        warmup: updates until it is reached, fewer than `steps`.
        drops: updates from which on the rate is a tenth of what it was.
        start: first rate, as a share of `lr`.

    Raises:
        ValueError: `warmup` is not in [0, steps).
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup={warmup} must be from 0 to below steps={steps}")
    later = poly(lr, power=0.0, steps=steps, drops=drops)
    return lambda count: jnp.where(
        count < warmup, lr * _rising(count, warmup, start), later(count)
    )


def _rising(count, warmup, start):
    return start + (1.0 - start) * count / max(warmup, 1)


SCHEDULES = {"warmup_cosine": warmup_cosine, "warmup_steps": warmup_steps}


# Factor of the rate for a batch `share` times the one that it was found with.
BATCH_RULES = {
    "none": lambda share: 1.0,
    "linear": lambda share: share,
    "sqrt": lambda share: share**0.5,
}


def for_batch(lr: float, *, batch_size: int, base_batch: int, rule: str) -> float:
    """The rate for another batch than the one that `lr` was found with.

    Args:
        lr: rate for `base_batch` images.
        batch_size: images of a global batch.
        base_batch: 256 with the linear rule (lr 1 becomes 4 at 1024 images), 1024 with
            the square root that an author of PixPro recommends for small batches.
        rule: a key of BATCH_RULES.

    Raises:
        UserError: for an unknown rule or a size below 1.
    """
    if rule not in BATCH_RULES:
        raise UserError(
            f"config.optim.batch_rule={rule!r}: choose one of {', '.join(BATCH_RULES)}"
        )
    if rule != "none" and min(batch_size, base_batch) < 1:
        raise UserError(
            f"config.optim.batch_rule={rule!r} needs config.optim.batch_size, the "
            f"images of a global batch, and base_batch (now {batch_size}, {base_batch})"
        )
    return lr * (BATCH_RULES[rule](batch_size / base_batch) if rule != "none" else 1.0)
