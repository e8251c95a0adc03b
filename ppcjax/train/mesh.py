"""Which devices take part: one mesh axis "data", and the start of several processes."""

import importlib.util
import os
from pathlib import Path

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ppcjax.types import UserError

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
    arguments = _explicit(given) if given else {}
    # Lets every process learn that one of them was told to stop (SIGTERM).
    jax.config.update("jax_enable_preemption_service", True)
    jax.distributed.initialize(**arguments)


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
    return {
        "coordinator_address": address,
        "num_processes": int(count),
        "process_id": int(index),
    }


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
