"""Which devices take part: one mesh axis "data", and the start of several processes."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ppcjax.console import screen
from ppcjax.train import peers
from ppcjax.types import UserError

# Seconds: what JAX itself waits for a process without a sign of life, and at the end.
_TIMES = {"heartbeat_timeout_seconds": 45, "shutdown_timeout_seconds": 60}
_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def make_mesh() -> Mesh:
    """All devices of all processes on one axis, "data"."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh) -> NamedSharding:
    """The first axis is split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def maybe_distributed() -> None:
    """Joins the other processes where the environment says that there are some.

    SLURM, Open MPI, Kubernetes and Cloud TPU are recognised; elsewhere set
    JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and
    JAX_PROCESS_ID. Call it before the first use of a device.
    """
    given = [name for name in _EXPLICIT if name in os.environ]
    if not given and not _cluster():
        return
    arguments = (_explicit(given) if given else {}) | _own_devices(os.environ)
    # Lets every process learn that one of them was told to stop (SIGTERM).
    jax.config.update("jax_enable_preemption_service", True)
    where = str(arguments.get("coordinator_address", "the address of the cluster"))
    with peers.joining(where), screen.waiting("waiting for the other processes"):
        jax.distributed.initialize(**arguments, **_TIMES)
    peers.meet()


def _own_devices(environment: Mapping[str, str]) -> dict[str, list[int]]:
    """The GPUs of a task of Slurm where JAX would take others; empty where not.

    JAX takes the GPU with the task's number on its node, of those that it sees: which
    is none where it sees its own alone, and one of many where it is alone.
    """
    seen = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if "SLURM_STEP_NODELIST" not in environment or not seen[0]:
        return {}
    if "JAX_LOCAL_DEVICE_IDS" in environment:
        return {}
    tasks, nodes = (
        environment.get(f"SLURM_STEP_NUM_{name}") for name in ("TASKS", "NODES")
    )
    is_alone = nodes is not None and tasks == nodes
    if len(seen) == 1 or is_alone:
        return {"local_device_ids": list(range(len(seen)))}
    return {}


def _explicit(given: list[str]) -> dict[str, str | int]:
    missing = [name for name in _EXPLICIT if name not in given]
    if missing:
        raise UserError(f"{given[0]} is set but {' and '.join(missing)} is not")
    address, count, index = (os.environ[name] for name in _EXPLICIT)
    if not (count.isdigit() and index.isdigit() and int(index) < int(count)):
        raise UserError(
            f"JAX_PROCESS_ID={index!r} must be a number below "
            f"JAX_NUM_PROCESSES={count!r}"
        )
    _check_address(address)
    return {
        "coordinator_address": address,
        "num_processes": int(count),
        "process_id": int(index),
    }


def _check_address(address: str) -> None:
    """Raises UserError where an address is not HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(
            f"JAX_COORDINATOR_ADDRESS={address!r} must be HOST:PORT of process 0"
        )


def _cluster() -> bool:
    env = os.environ
    # SLURM_STEP_*: started by srun. A batch script alone has SLURM_NTASKS too.
    if "SLURM_STEP_NODELIST" in env and int(env.get("SLURM_NTASKS", "1")) > 1:
        return True
    if int(env.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        return True
    # An indexed job; other pods are single ones.
    if "KUBERNETES_SERVICE_HOST" in env and "JOB_COMPLETION_INDEX" in env:
        return True
    accelerators = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    return accelerators and importlib.util.find_spec("libtpu") is not None
