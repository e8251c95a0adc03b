"""Optimizers, put together from optax parts and chosen by parameter paths.

A path is the keys of a parameter joined by "/", such as "backbone/conv1/kernel";
patterns are regular expressions searched in it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from ppcjax.train import schedules
from ppcjax.types import UserError


def make(
    *,
    name: str = "sgd",
    steps: int,
    batch_rule: str = "none",
    batch_size: int = 0,
    base_batch: int = 256,
    **settings,
) -> optax.GradientTransformation:
    """Optimizer `name` of `OPTIMIZERS` for a run of `steps` updates.

    The rate `lr` is that of `base_batch` images, carried over to `batch_size` of them
    by `batch_rule`, see `schedules.for_batch`; other settings are the optimizer's.
    """
    if "lr" in settings:
        settings["lr"] = schedules.for_batch(
            settings["lr"],
            batch_size=batch_size,
            base_batch=base_batch,
            rule=batch_rule,
        )
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
    steps: int,
    power: float | None = None,
    drops: Sequence[int] = (),
    schedule: Mapping[str, Any] | None = None,
    lr_mults: Sequence[tuple[str, float]] = (),
    no_decay: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum and L2 decay, as in torch.

        g_t = gradient + weight_decay * p
        v_t = momentum * v_{t-1} + g_t        (v_0 = g_0)
        p  -= lr_mult(path) * lr_t * v_t

    Args:
        lr: highest rate; that of the first update with `power`.
        momentum: in [0, 1). The published CAM networks (SEAM, PPC, EPS) were trained
            with 5e-4: their code hands the decay to SGD's momentum.
        weight_decay: of all parameters but those of `no_decay`.
        steps: updates of the run.
        power: exponent of the schedule `schedules.poly`.
        drops: updates from which on its rate is a tenth of what it was.
        schedule: another one instead, see `schedules.make`.
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
        schedules.make(lr, steps=steps, power=power, drops=drops, schedule=schedule),
        lr_mults=lr_mults,
        no_decay=no_decay,
        frozen=frozen,
    )


def adamw(
    *,
    lr: float,
    weight_decay: float,
    steps: int,
    power: float | None = None,
    schedule: Mapping[str, Any] | None = None,
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
        schedules.make(lr, steps=steps, power=power, schedule=schedule),
        lr_mults=lr_mults,
        no_decay=no_decay,
        frozen=frozen,
    )


def lars(
    *,
    lr: float,
    weight_decay: float,
    steps: int,
    momentum: float = 0.9,
    trust: float = 1e-3,
    power: float | None = None,
    schedule: Mapping[str, Any] | None = None,
    lr_mults: Sequence[tuple[str, float]] = (),
    no_decay: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
    """SGD whose steps are a share of each array's norm, for large batches.

        g_t = gradient + weight_decay * p
        g_t = trust * |p| / (|g_t| + 1e-8) * g_t      (where neither norm is 0)
        v_t = momentum * v_{t-1} + g_t
        p  -= lr_mult(path) * lr_t * v_t

    Arrays of one axis (biases, scales) skip the first two lines. The rate comes after
    the momentum, unlike in `optax.lars`, which differs as soon as the rate changes.

    Args:
        lr: as of `sgd`, like all that is not named here.
        weight_decay: of arrays of more than one axis, within the norm.
        steps: updates of the run.
        momentum: in [0, 1).
        trust: largest step, relative to the array, at rate 1 and without momentum.
        power: of `schedules.poly`.
        schedule: another schedule instead.
        lr_mults: (pattern, multiplier).
        no_decay: patterns of further parameters without decay.
        frozen: patterns of parameters that never change.

    Source: You et al. 2017, in the form of the released training program of PixPro.
    """

    def decays(tree):
        named = _mask(no_decay, hit=False)(tree)
        return jax.tree.map(lambda leaf, decay: leaf.ndim > 1 and decay, tree, named)

    def has_axes(tree):
        return jax.tree.map(lambda leaf: leaf.ndim > 1, tree)

    return _by_path(
        [
            optax.add_decayed_weights(weight_decay, mask=decays),
            optax.masked(
                optax.scale_by_trust_ratio(trust_coefficient=trust, eps=1e-8), has_axes
            ),
            optax.trace(momentum),
        ],
        schedules.make(lr, steps=steps, power=power, schedule=schedule),
        lr_mults=lr_mults,
        no_decay=no_decay,
        frozen=frozen,
    )


OPTIMIZERS = {"sgd": sgd, "adamw": adamw, "lars": lars}


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
