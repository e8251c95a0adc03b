"""LARS, and learning rates as plain numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch


class Lars(torch.optim.Optimizer):
    """SGD whose steps are a share of each array's norm; see `ppcjax.train.optim.lars`.

    params: parameters.
    lr: rate, applied after the momentum.
    momentum: share of the last step that goes on.
    weight_decay: decay of arrays of more than one axis, within the norm.
    trust: largest step, relative to the array.
    """

    def __init__(self, params, *, lr, momentum, weight_decay, trust):
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, settings | {"trust": trust})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            # Scales and biases are neither decayed nor scaled.
            kernels = [p for p in params if p.ndim > 1]
            vectors = [p for p in params if p.ndim <= 1]
            grads = [p.grad for p in kernels]
            grads = list(
                torch._foreach_add(grads, kernels, alpha=group["weight_decay"])
            )
            sizes = torch.stack(torch._foreach_norm(kernels))
            steps = torch.stack(torch._foreach_norm(grads))
            share = group["trust"] * sizes / (steps + 1e-8)
            share = torch.where((sizes == 0) | (steps == 0), 1.0, share)
            torch._foreach_mul_(grads, list(share.unbind()))
            params = kernels + vectors
            self._move(params, grads + [p.grad for p in vectors], group)

    def _move(self, params, grads, group):
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        moments = [self.state[p]["momentum"] for p in params]
        torch._foreach_mul_(moments, group["momentum"])
        torch._foreach_add_(moments, grads)
        torch._foreach_add_(params, moments, alpha=-group["lr"])


def rate(optim: Mapping[str, Any], steps: int) -> Callable[[int], float]:
    """The rate of each update, as `ppcjax.train.schedules` has it.

    Args:
        optim: settings of a config's optimizer.
        steps: updates of the run.
    """
    lr = optim["lr"]
    if optim.get("batch_rule") == "linear":
        lr *= optim["batch_size"] / optim["base_batch"]
    schedule = optim.get("schedule")
    if schedule is None:
        return lambda t: lr * (1 - min(t, steps - 1) / steps) ** optim["power"]
    warmup, start, end = (schedule[name] for name in ("warmup", "start", "end"))

    def warmup_cosine(t):
        if t < warmup:
            return lr * (start + (1 - start) * t / warmup)
        share = min((t - warmup) / (steps - warmup), 1.0)
        return end + (lr - end) * (1 + math.cos(math.pi * share)) / 2

    return warmup_cosine


def make(
    optim: Mapping[str, Any], groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimizer of a config, for groups of parameters."""
    kind = {"momentum": optim["momentum"], "weight_decay": optim["weight_decay"]}
    if optim["name"] == "lars":
        return Lars(groups, lr=0.0, trust=optim["trust"], **kind)
    on_gpu = groups[0]["params"][0].is_cuda
    return torch.optim.SGD(groups, lr=0.0, fused=True if on_gpu else None, **kind)
