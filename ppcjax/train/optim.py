"""Optimizers, put together from optax parts and chosen by parameter paths.

A path is the keys of a parameter joined by "/", such as "backbone/conv1/kernel";
patterns are regular expressions searched in it.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated, Any

import jax
import optax

from ppcjax import fields
from ppcjax.fields import OneOf, Pattern, Range
from ppcjax.train import depths
from ppcjax.train.schedules import Rate
from ppcjax.types import UserError

Path = Annotated[str, Pattern()]
Momentum = Annotated[float, Range(0, below=1)]
Decay = Annotated[float, Range(0, below=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    """What is special about some parameters, chosen by patterns of their paths.

    lr_mults: pairs (pattern, multiplier of the rate), of which the first that matches
        a path counts; 1 where none does.
    no_decay: patterns of parameters without weight decay.
    frozen: patterns of parameters that never change: no update, no decay and no
        optimizer memory.
    layer_decay: factor of the rate from one block of a vision transformer to the block
        before it, besides `lr_mults`: block i of L learns at layer_decay^(L - i), what
        comes before the blocks at layer_decay^(L + 1), heads at 1. 1 leaves it.
    """

    lr_mults: tuple[tuple[Path, Annotated[float, Range(0, 10**4)]], ...] = ()
    no_decay: tuple[Path, ...] = ()
    frozen: tuple[Path, ...] = ()
    layer_decay: Annotated[float, Range(above=0, most=1)] = 1.0


def make(*, name: str = "sgd", steps: int, **settings) -> optax.GradientTransformation:
    """The optimizer that config.optim describes; making it checks all settings.

    Args:
        name: a key of OPTIMIZERS.
        steps: updates of the run.
        **settings: those of the optimizer, of `Rate` and of `Groups`.

    Raises:
        UserError: a setting is unknown, missing or wrong; once there are parameters,
            also that a pattern matches none of them, or that blocks which are to
            learn at rates of their own are missing or frozen.
    """
    fields.check(Annotated[str, OneOf(OPTIMIZERS)], name, "config.optim.name")
    return fields.build(
        OPTIMIZERS[name],
        settings,
        where="config.optim",
        what=f"optimizer {name!r}",
        steps=steps,
    )


def sgd(
    steps: int, *, rate: Rate, groups: Groups, momentum: Momentum, weight_decay: Decay
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum and L2 decay, as in torch.

        g_t = gradient + weight_decay * p
        v_t = momentum * v_{t-1} + g_t        (v_0 = g_0)
        p  -= lr_mult(path) * lr_t * v_t

    Args:
        steps: updates of the run.
        rate: how the rate goes over the run.
        groups: parameters that are treated differently.
        momentum: share of the last step that goes on. The published CAM networks
            (SEAM, PPC, EPS) were trained with 5e-4: their code hands the decay to
            SGD's momentum.
        weight_decay: strength of the decay.
    """
    return _by_path(
        [
            optax.add_decayed_weights(weight_decay, mask=_decays(groups)),
            optax.trace(momentum),
        ],
        rate.over(steps),
        groups,
    )


def adamw(
    steps: int,
    *,
    rate: Rate,
    groups: Groups,
    weight_decay: Decay,
    beta1: Momentum = 0.9,
    beta2: Momentum = 0.999,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay.

    Args:
        steps: updates of the run.
        rate: how the rate goes over the run.
        groups: parameters that are treated differently.
        weight_decay: strength of the decay, multiplied by the rate.
        beta1: share of the mean of gradients that goes on.
        beta2: share of the mean of their squares that goes on.
    """
    return _by_path(
        [
            optax.scale_by_adam(beta1, beta2),
            optax.add_decayed_weights(weight_decay, mask=_decays(groups)),
        ],
        rate.over(steps),
        groups,
    )


def lars(
    steps: int,
    *,
    rate: Rate,
    groups: Groups,
    weight_decay: Decay,
    momentum: Momentum = 0.9,
    trust: Annotated[float, Range(above=0, most=10)] = 1e-3,
) -> optax.GradientTransformation:
    """SGD whose steps are a share of each array's norm, for large batches.

        g_t = gradient + weight_decay * p
        g_t = trust * |p| / (|g_t| + 1e-8) * g_t      (where neither norm is 0)
        v_t = momentum * v_{t-1} + g_t
        p  -= lr_mult(path) * lr_t * v_t

    Arrays of one axis (biases, scales) skip the first two lines. The rate comes after
    the momentum, unlike in `optax.lars`, which differs as soon as the rate changes.

    Args:
        steps: updates of the run.
        rate: how the rate goes over the run.
        groups: parameters that are treated differently.
        weight_decay: strength of the decay of arrays of more than one axis, within
            the norm.
        momentum: share of the last step that goes on.
        trust: largest step, relative to the array, at rate 1 and without momentum.

    Source: You et al. 2017, in the form of the released training program of PixPro.
    """

    def decays(tree):
        named = _decays(groups)(tree)
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
        rate.over(steps),
        groups,
    )


OPTIMIZERS = {"sgd": sgd, "adamw": adamw, "lars": lars}


def _by_path(
    parts: list, schedule: optax.Schedule, groups: Groups
) -> optax.GradientTransformation:
    moving = optax.chain(
        *parts,
        _scale_by_path(groups.lr_mults),
        optax.scale_by_learning_rate(schedule),
    )
    is_frozen = _mask(groups.frozen, hit=True)

    def labels(params):
        return jax.tree.map(
            lambda hit: "frozen" if hit else "moving", is_frozen(params)
        )

    rule = optax.multi_transform(
        {"moving": moving, "frozen": optax.set_to_zero()}, labels
    )
    patterns = (
        [("lr_mults", pattern) for pattern, _ in groups.lr_mults]
        + [("no_decay", pattern) for pattern in groups.no_decay]
        + [("frozen", pattern) for pattern in groups.frozen]
    )

    def init(params):
        _check_patterns(patterns, params)
        if groups.layer_decay != 1:
            _check_layers(groups, params)
        return rule.init(params)

    def update(updates, state, params=None):
        updates, state = rule.update(updates, state, params)
        return _scale_by_depth(updates, groups.layer_decay), state

    return optax.GradientTransformation(init, update)


def _decays(groups: Groups):
    """Function from a tree to booleans: whether weight decay is for a parameter."""
    return _mask(groups.no_decay, hit=False)


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


def _scale_by_depth(updates: Any, decay: float) -> Any:
    """Updates of all parameters, those of frozen ones too: they count the blocks."""
    if decay == 1:
        return updates
    factors = depths.factors(_names(updates), decay)
    return jax.tree_util.tree_map_with_path(
        lambda path, update: update * factors.get(_name(path), 1.0), updates
    )


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


def _names(tree: Any) -> list[str]:
    return [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _check_layers(groups: Groups, params: Any) -> None:
    """Raises UserError where no parameter would have another rate."""
    given = f"config.optim.layer_decay={groups.layer_decay}"
    names = depths.factors(_names(params), groups.layer_decay)
    if not names:
        raise UserError(
            f"{given} is for the blocks of a vision transformer, which this network "
            "does not have; leave it at 1"
        )
    if all(any(re.search(one, name) for one in groups.frozen) for name in names):
        raise UserError(
            f"{given} is for blocks that learn, and config.optim.frozen keeps all of "
            "them; leave it at 1, or let the last blocks learn"
        )


def _check_patterns(patterns: list[tuple[str, str]], params: Any) -> None:
    names = _names(params)
    for field, pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            raise UserError(
                f"config.optim.{field}: {pattern!r} matches no parameter; they are "
                f"named like {', '.join(names[:3])}"
            )
