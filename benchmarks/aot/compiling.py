"""One compile of a training step for TPUs that are not there, in a process of its own.

`python -m benchmarks.aot` starts it; it writes one JSON.
"""

import argparse
import importlib.metadata
import json
import math
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh

from benchmarks import config as configs
from benchmarks.aot import collectives
from benchmarks.step import batch_shapes
from ppcjax import methods
from ppcjax.train import optim, step

PACKAGES = ("jax", "jaxlib", "libtpu", "flax", "optax")
# Seconds of compiling are saved by less search for a faster program, -1 to 1.
EFFORTS = ("exec_time_optimization_effort", "memory_fitting_effort")


def mesh_of(topology: str) -> Mesh:
    """All chips of a topology such as "v5e:4x4" on the axis of training, "data"."""
    sides = re.findall(r"\d+", topology.partition(":")[2])
    alone = math.prod(int(side) for side in sides) == 1
    # A host of this kind has four chips; one chip wants a host of its own size.
    bounds = {"chips_per_host_bounds": (1, 1, 1)} if alone else {}
    found = topologies.get_topology_desc(
        platform="tpu", topology_name=topology, **bounds
    )
    return Mesh(np.array(found.devices), ("data",), axis_types=(AxisType.Auto,))


def lower(settings: Mapping[str, Any], *, classes: int, each: int, mesh: Mesh) -> Any:
    """The training step of a config, lowered for a mesh.

    Args:
        settings: the config.
        classes: C.
        each: rows of the batch on each chip.
        mesh: the chips.
    """
    key = jax.random.key(0)
    method = methods.make(settings["method"], classes)
    batch = batch_shapes(settings["data"], num_classes=classes, rows=each * mesh.size)
    drawn = method.init(key, batch)
    optimizer = optim.make(steps=settings["steps"], **settings["optim"])
    # Nothing is drawn while shapes are asked for, and no chip holds a state.
    ready = method._replace(init=lambda *_: drawn)
    state = jax.eval_shape(
        lambda: step.create_state(ready, optimizer, key, batch, mesh)
    )
    return step.make_step(method, optimizer, mesh, key).lower(state, batch)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What the compiler says of a step, per chip."""
    mesh = mesh_of(options.topology)
    settings = configs.of_step(options.config)
    start = time.perf_counter()
    lowered = lower(
        settings, classes=options.classes, each=options.batch_per_chip, mesh=mesh
    )
    trace = time.perf_counter() - start
    effort = dict.fromkeys(EFFORTS, options.effort)
    compiled = lowered.compile(compiler_options=effort if options.effort else None)
    text = compiled.as_text()
    if options.hlo:
        options.hlo.parent.mkdir(parents=True, exist_ok=True)
        options.hlo.write_text(text)
    memory = compiled.memory_analysis()
    parts = ("argument", "temp", "output", "alias", "generated_code")
    sizes = {part: getattr(memory, f"{part}_size_in_bytes") for part in parts}
    return {
        "chips": mesh.size,
        "chip": mesh.devices.flat[0].device_kind,
        "global_batch": options.batch_per_chip * mesh.size,
        "trace_s": round(trace, 1),
        "compile_s": round(time.perf_counter() - start - trace, 1),
        "bytes": sizes | {"peak": memory.peak_memory_in_bytes},
        "flop": compiled.cost_analysis()["flops"],
        "collectives": collectives.count(text),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the program."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | found


def main() -> None:
    """Writes what one compile found; the process that starts it checked the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--config", required=True)
    add("--topology", required=True)
    add("--classes", type=int, required=True)
    add("--batch_per_chip", type=int, required=True)
    add("--effort", type=float, required=True)
    add("--hlo", type=Path)
    add("--json", type=Path, required=True)
    options = parser.parse_args()
    found = measure(options) | {"versions": versions()}
    options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
