"""One update of the parameters: the only jit of training.

The step sees the global batch, sharded over the mesh axis "data", so that a mean
over the batch axis is the mean over all devices and hosts.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from ppcjax.train import accumulate
from ppcjax.train import mesh as meshes
from ppcjax.types import Method, TrainState

Scalars = dict[str, jax.Array]
# Of XLA's CPU compiler; those that it does not know are left out.
CPU_OPTIONS = {
    # It drops optimization barriers, those of `ppcjax.nn.convolution`, too, before it
    # looks for what to compute again. Without this pass it keeps them.
    "xla_disable_hlo_passes": "cse_barrier_expander",
    # A third less memory for a twentieth of the time: operations are not put in an
    # order that lets several run at once, as each uses all cores by itself.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


def inline_on_cpus() -> None:
    """Has a CPU compute in the thread that asks for it; call it before JAX has devices.

    JAX would begin a step while the one before still runs: the memory of both is held
    at once, and asked for in threads among which glibc does not pass it on. Programs
    of several devices are not touched, nor those of other devices.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def create_state(
    method: Method,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    batch_spec: Any,
    mesh: Mesh,
    *,
    adapt: Callable[[Any, Any], tuple[Any, Any]] | None = None,
) -> TrainState:
    """State before the first update, replicated over `mesh`.

    Args:
        method: what is trained.
        optimizer: its `init` makes the optimizer's memory.
        key: randomness of the initial parameters.
        batch_spec: global batch, arrays or ShapeDtypeStructs.
        mesh: one axis, "data".
        adapt: maps the initial parameters and model state to others, such as
            pretrained ones.
    """
    params, model_state = method.init(key, batch_spec)
    if adapt is not None:
        params, model_state = adapt(params, model_state)

    def build(params, model_state):
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            model_state=model_state,
            opt_state=optimizer.init(params),
        )

    # Built under jit so that no two leaves share a buffer: the step donates them.
    replicated = meshes.replicated(mesh)
    return jax.jit(build, out_shardings=replicated)(params, model_state)


def make_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    root_key: jax.Array,
    *,
    parts: int = 1,
) -> Callable[[TrainState, Any], tuple[TrainState, Scalars]]:
    """Compiled (state, batch) -> (next state, scalars); the old state is donated.

    The randomness of update number t is fold_in(root_key, t), whatever the devices
    and whether the run was interrupted. Scalars are those of `method.loss`,
    "loss/total" and "stat/update_norm" (L2 of what is added to the parameters: finite
    only if the next parameters are, and free of the gradients of frozen ones, which
    are thus never computed).

    Args:
        method: what is trained.
        optimizer: makes updates of gradients.
        mesh: one axis, "data", over which the rows of a batch are split.
        root_key: randomness of all updates.
        parts: by how many parts of a batch, one after another, its gradient is formed,
            see `ppcjax.train.accumulate`.
    """
    gradient = accumulate.gradient_of(method, parts, mesh)

    def update(state: TrainState, batch: Any) -> tuple[TrainState, Scalars]:
        key = jax.random.fold_in(root_key, state.step)
        (loss, (model_state, scalars)), gradients = gradient(
            state.params, state.model_state, batch, key, state.step
        )
        with jax.named_scope("optimizer"):
            updates, opt_state = optimizer.update(
                gradients, state.opt_state, state.params
            )
            params = optax.apply_updates(state.params, updates)
            norm = optax.tree.norm(updates)
        scalars = {**scalars, "loss/total": loss, "stat/update_norm": norm}
        new_state = TrainState(
            step=state.step + 1,
            params=params,
            model_state=model_state,
            opt_state=opt_state,
        )
        return new_state, scalars

    replicated = meshes.replicated(mesh)
    platform = mesh.devices.flat[0].platform
    options = {"cpu": cpu_options(), "gpu": dict(method.gpu_options)}.get(platform)
    # Shardings are given on both sides: without out_shardings the second call,
    # which is fed the first one's output, would compile again.
    return jax.jit(
        update,
        donate_argnums=0,
        in_shardings=(replicated, meshes.sharded(mesh)),
        out_shardings=(replicated, replicated),
        compiler_options=options,
    )


@functools.cache
def cpu_options() -> dict[str, str]:
    """Those of CPU_OPTIONS that the compiler of this process knows."""
    known = {}
    for name, value in CPU_OPTIONS.items():
        try:
            jax.jit(lambda: jnp.zeros(()), compiler_options={name: value})()
        except jax.errors.JaxRuntimeError:
            continue
        known[name] = value
    return known
