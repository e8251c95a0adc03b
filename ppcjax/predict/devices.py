"""All devices of this process under one prediction: batches sharded, weights copied."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ppcjax.types import Method


def shard(tree: Any) -> Any:
    """Arrays on the devices of this process, split along their first axis.

    Args:
        tree: arrays whose first axis is a multiple of `device_count`.
    """
    return jax.device_put(tree, NamedSharding(_mesh(), PartitionSpec("data")))


def seen(method: Method, batch: Mapping[str, Any]) -> Any:
    """A batch on the devices as a method reads it, with features for photos or without.

    Args:
        method: looks by `Method.look`, or sees photos itself.
        batch: NumPy arrays whose first axis is a multiple of `device_count`.
    """
    return shard(batch if method.look is None else method.look(batch))


def replicate(tree: Any) -> Any:
    """Arrays copied to every device of this process."""
    return jax.device_put(tree, NamedSharding(_mesh(), PartitionSpec()))


def compiled(function: Callable[..., Any], method: Method) -> Callable[..., Any]:
    """A function of a method, as its devices need it compiled.

    There is one program for each function and shape, however many ask for it.

    Args:
        function: one that the method has, such as `Method.predict`.
        method: says by `gpu_options` how it is compiled on GPUs.
    """
    on_gpu = jax.local_devices()[0].platform == "gpu"
    return _compiled(function, tuple(method.gpu_options.items()) if on_gpu else ())


@functools.lru_cache(maxsize=16)
def _compiled(function, options):
    return jax.jit(function, compiler_options=dict(options) or None)


def by_rows(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """A function of rows whose devices each take their own, and exchange nothing.

    Args:
        function: (rows, *others) -> an array, row i of which depends on row i alone,
            where the compiler would not see that.

    Returns:
        The same of rows as `shard` gives them, and of others as `replicate` does.
    """

    def call(rows, *others):
        whole = (PartitionSpec(),) * len(others)
        own = PartitionSpec("data")
        specs = {"in_specs": (own, *whole), "out_specs": own, "check_vma": False}
        return jax.shard_map(function, mesh=_mesh(), **specs)(rows, *others)

    return jax.jit(call)


def filled(count: int, most: int) -> int:
    """Rows of the batch that holds `count` examples, of at most `most`.

    The smallest power of two, so that one photo costs one photo and few programs are
    compiled, rounded up to a multiple of the devices.
    """
    rows = min(1 << (count - 1).bit_length(), most)
    devices = device_count()
    return -(-rows // devices) * devices


def device_count() -> int:
    """Devices of this process."""
    return jax.local_device_count()


def _mesh() -> Mesh:
    return Mesh(np.array(jax.local_devices()), ("data",))
