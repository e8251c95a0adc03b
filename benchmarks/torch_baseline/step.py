"""One training step in PyTorch: forward, loss, backward, update."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.torch_baseline import optim


class Step:
    """Calls of it are training steps.

    model: has `groups`, `before` and `compile`, and gives the loss of a batch.
    settings: config with "optim" and "steps".
    dtype: "bfloat16" for autocast, or "float32".
    channels_last: whether maps lie in memory channel by channel of each pixel.
    compiled: whether torch.compile is used.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: Mapping[str, Any],
        *,
        device: str = "cpu",
        dtype: str = "float32",
        channels_last: bool = True,
        compiled: bool = False,
    ):
        self.device, self.mixed = torch.device(device), dtype == "bfloat16"
        self.channels_last = channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = model.train().to(self.device, memory_format=layout)
        if compiled:
            self.model.compile()
        groups = self.model.groups()
        self.optimizer = optim.make(settings["optim"], groups)
        self.rate = optim.rate(settings["optim"], settings["steps"])
        self.count = 0

    def put(self, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """A batch of `benchmarks.step.random_batch` on the device, channels first."""
        arrays = {
            k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in batch.items()
        }
        for name, x in arrays.items():
            if name.endswith("image"):
                image = x.movedim(-1, -3)
                arrays[name] = image if self.channels_last else image.contiguous()
            elif name.endswith("mask"):
                arrays[name] = x.long()
        arrays = {k: v.to(self.device) for k, v in arrays.items()}
        return arrays | {"nhwc": self.channels_last}

    def __call__(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """Updates the model; gives its loss from before, [] on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * self.rate(self.count)
        self.optimizer.zero_grad(set_to_none=True)
        self.model.before(self.count)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            loss = self.model(batch)
        loss.backward()
        self.optimizer.step()
        self.count += 1
        return loss.detach()
