"""The two sides of a race: a training step of ours, and one of PyTorch.

A side is made from a config's settings and has a `name`; `start` makes it ready and
returns seconds; `run(n)` takes n steps and returns seconds; `memory` is in MiB; `close`
ends what it started. `benchmarks.apart` puts one into a process of its own.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

Batch = Mapping[str, np.ndarray]


class Ours:
    """The step that train.py takes.

    settings: config with "method", "optim" and "steps".
    batch: NumPy arrays.
    num_classes: classes of the data.
    """

    def __init__(self, settings: Mapping[str, Any], batch: Batch, num_classes: int):
        self.name = "ppcjax"
        self.settings, self.batch, self.num_classes = settings, batch, num_classes
        self.loss = self.program = None

    def start(self) -> float:
        """Compiles the step and takes one; seconds."""
        import jax

        from benchmarks.step import program_bytes
        from ppcjax import methods
        from ppcjax.train import mesh as meshes
        from ppcjax.train import optim, step

        step.inline_on_cpus()
        mesh = meshes.make_mesh()
        self.batch = jax.device_put(dict(self.batch), meshes.sharded(mesh))
        method = methods.make(self.settings["method"], self.num_classes)
        optimizer = optim.make(steps=self.settings["steps"], **self.settings["optim"])
        key = jax.random.key(0)
        self.state = step.create_state(method, optimizer, key, self.batch, mesh)
        begin = time.perf_counter()
        self.update = step.make_step(method, optimizer, mesh, key)
        self.step = self.update.lower(self.state, self.batch).compile()
        seconds = time.perf_counter() - begin
        stats = self.step.memory_analysis()
        if stats is not None:
            self.program = program_bytes(stats) / 2**20
        self.run(1)
        return seconds

    def run(self, steps: int) -> float:
        """Takes steps one after the other; seconds until the last is done."""
        import jax

        begin = time.perf_counter()
        for _ in range(steps):
            self.state, scalars = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, scalars))
        seconds = time.perf_counter() - begin
        self.loss = float(scalars["loss/total"])
        return seconds

    def memory(self) -> float | None:
        """Most that the device held at once, MiB; None where it does not tell."""
        import jax

        stats = jax.devices()[0].memory_stats() or {}
        peak = stats.get("peak_bytes_in_use")
        return None if peak is None else peak / 2**20

    def close(self) -> None:
        """Nothing to end."""


class Theirs:
    """The PyTorch step of `benchmarks.torch_baseline`.

    settings: config with "method", "optim" and "steps".
    batch: NumPy arrays.
    num_classes: classes of the data.
    device: "cpu" or "cuda".
    dtype: "float32" or "bfloat16".
    layout: "nhwc" (channels_last) or "nchw".
    compiled: whether torch.compile is used.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        batch: Batch,
        num_classes: int,
        *,
        device: str,
        dtype: str,
        layout: str,
        compiled: bool,
    ):
        self.name = f"torch {layout}" + (" compiled" if compiled else "")
        self.settings, self.batch, self.num_classes = settings, batch, num_classes
        self.device = device
        self.how = {
            "device": device,
            "dtype": dtype,
            "channels_last": layout == "nhwc",
            "compiled": compiled,
        }
        self.loss = self.peak = self.program = None

    def start(self) -> float:
        """Makes the model and takes two steps; seconds of the first one."""
        import torch

        from benchmarks.torch_baseline.asgnet import ASGNet
        from benchmarks.torch_baseline.contrastive_seg import ContrastiveSeg
        from benchmarks.torch_baseline.pixpro import PixPro
        from benchmarks.torch_baseline.ppc import PPC
        from benchmarks.torch_baseline.step import Step

        kinds = {"pixpro": PixPro, "contrastive_seg": ContrastiveSeg, "ppc": PPC}
        kinds |= {"asgnet": ASGNet}
        torch.manual_seed(0)
        before = self._allocated()
        method = self.settings["method"]
        model = kinds[method["name"]](method, self.num_classes)
        self.step = Step(model, self.settings, **self.how)
        self.batch = self.step.put(self.batch)
        seconds = self.run(1)
        self.own = self._allocated() - before
        self.run(1)
        return seconds

    def run(self, steps: int) -> float:
        """Takes steps one after the other; seconds until the last is done."""
        import torch

        on_gpu = self.device == "cuda"
        others = 0
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            # What other PyTorch sides keep is not this one's.
            others = self._allocated() - getattr(self, "own", 0)
        begin = time.perf_counter()
        for _ in range(steps):
            loss = self.step(self.batch)
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
        self.loss = float(loss)
        if on_gpu and hasattr(self, "own"):
            self.peak = (torch.cuda.max_memory_allocated() - others) / 2**20
        return seconds

    def memory(self) -> float | None:
        """Most that PyTorch had allocated in the last steps, MiB; None on a CPU."""
        return self.peak

    def close(self) -> None:
        """Nothing to end."""

    def _allocated(self) -> int:
        import torch

        return torch.cuda.memory_allocated() if self.device == "cuda" else 0
