"""What a reader must know of a measured number: command, commit, versions, machine."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "triton", "tensorflow")


def facts(module: str, argv: Sequence[str]) -> dict[str, Any]:
    """The command, commit (None where unknown), machine and versions, by name.

    Args:
        module: what was run, such as "benchmarks.race".
        argv: its arguments.
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = os.environ.get("PPCJAX_COMMIT")
    if commit is None:
        command = ["git", "rev-parse", "--short", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        commit = found.stdout.strip() or None
    return {
        "command": " ".join([f"python -m {module}", *argv]),
        "commit": commit,
        "machine": machine(),
        "versions": versions,
    }


def machine() -> str:
    """Model of the processor, cores that this process may use, and its GPU, if any."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return ", ".join(filter(None, [name, f"{cores()} cores", accelerator()]))


def accelerator() -> str:
    """Name of the first NVIDIA GPU that JAX would take; "" without one."""
    if os.environ.get("JAX_PLATFORMS") == "cpu" or not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.partition("\n")[0].strip()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
