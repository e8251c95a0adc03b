"""Optimizers, put together from optax parts and chosen by parameter paths.

A path is the keys of a parameter joined by "/", such as "backbone/conv1/kernel";
patterns are regular expressions searched in it.
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ppcjax.types import UserError


def make(*, name: str = "sgd", steps: int, **settings) -> optax.GradientTransformation:
    """Optimizer `name` of `OPTIMIZERS` for a run of `steps` updates."""
    if name not in OPTIMIZERS:
        raise UserError(
            f"config.optim.name={name!r} is unknown; known: {', '.join(OPTIMIZERS)}"
        )
    try:
        return OPTIMIZERS[name](steps=steps, **settings)
    except TypeError as error:
        raise UserError(f"config.optim does not fit {name!r}: {error}") from error


def sgd(
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    power: float,
    steps: int,
    drops: Sequence[int] = (),
    lr_mults: Sequence[tuple[str, float]] = (),
    no_decay: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum and L2 decay, as in torch.

        g_t = gradient + weight_decay * p
        v_t = momentum * v_{t-1} + g_t        (v_0 = g_0)
        p  -= lr_mult(path) * lr_t * v_t      (lr_t: see `poly`)

    Args:
        lr: rate of the first update.
        momentum: in [0, 1). The published CAM networks (SEAM, PPC, EPS) were trained
            with 5e-4: their code hands the decay to SGD's momentum.
        weight_decay: of all parameters but those of `no_decay`.
        power: exponent of the schedule.
        steps: T of the schedule.
        drops: updates from which on the rate is a tenth of what it was.
        lr_mults: (pattern, multiplier); the first that matches, else 1.
        no_decay: patterns of parameters without decay.
        frozen: patterns of parameters that never change: no update, no decay and no
            optimizer memory.
    """
    return _by_path(
        [
            optax.add_decayed_weights(weight_decay, mask=_mask(no_decay, hit=False)),
            optax.trace(momentum),
        ],
        poly(lr, power=power, steps=steps, drops=drops),
        lr_mults=lr_mults,
        no_decay=no_decay,
        frozen=frozen,
    )


def adamw(
    *,
    lr: float,
    weight_decay: float,
    power: float,
    steps: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    lr_mults: Sequence[tuple[str, float]] = (),
    no_decay: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay; the other arguments are those of `sgd`."""
    return _by_path(
        [
            optax.scale_by_adam(beta1, beta2),
            optax.add_decayed_weights(weight_decay, mask=_mask(no_decay, hit=False)),
        ],
        poly(lr, power=power, steps=steps),
        lr_mults=lr_mults,
        no_decay=no_decay,
        frozen=frozen,
    )


OPTIMIZERS = {"sgd": sgd, "adamw": adamw}


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


def _by_path(
    parts: list, schedule: optax.Schedule, *, lr_mults, no_decay, frozen
) -> optax.GradientTransformation:
    moving = optax.chain(
        *parts,
        _scale_by_path(lr_mults),
        optax.scale_by_learning_rate(schedule),
    )
    is_frozen = _mask(frozen, hit=True)

    def labels(params):
        return jax.tree.map(
            lambda hit: "frozen" if hit else "moving", is_frozen(params)
        )

    rule = optax.multi_transform(
        {"moving": moving, "frozen": optax.set_to_zero()}, labels
    )
    patterns = (
        [("lr_mults", pattern) for pattern, _ in lr_mults]
        + [("no_decay", pattern) for pattern in no_decay]
        + [("frozen", pattern) for pattern in frozen]
    )

    def init(params):
        _check_patterns(patterns, params)
        return rule.init(params)

    return optax.GradientTransformation(init, rule.update)


def _scale_by_path(lr_mults) -> optax.GradientTransformation:
    def multiplier(path):
        hits = (mult for pattern, mult in lr_mults if re.search(pattern, _name(path)))
        return next(hits, 1.0)

    def scale(updates, params):
        del params
        return jax.tree_util.tree_map_with_path(
            lambda path, update: update * multiplier(path), updates
        )

    return optax.stateless(scale)


def _mask(patterns: Sequence[str], *, hit: bool):
    """Function from a tree to booleans: `hit` where a pattern matches the path."""

    def mask(tree: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: (
                hit == any(re.search(pattern, _name(path)) for pattern in patterns)
            ),
            tree,
        )

    return mask


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _check_patterns(patterns: list[tuple[str, str]], params: Any) -> None:
    names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for field, pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            raise UserError(
                f"config.optim.{field}: {pattern!r} matches no parameter; they are "
                f"named like {', '.join(names[:3])}"
            )
