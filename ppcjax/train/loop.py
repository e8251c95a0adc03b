"""The training loop; it knows no paper and no data set.

A run is a function of (config, seed): batch t and the randomness of update t do not
depend on when the process started, so that resuming equals never stopping.
"""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from ppcjax.runs import checkpoint
from ppcjax.train import feed, guard, log
from ppcjax.train import mesh as meshes
from ppcjax.train.step import create_state, make_step
from ppcjax.train.stop import Stopper
from ppcjax.types import Method, TrainState, UserError

Batches = Iterator[dict[str, np.ndarray]]


def fit(
    method: Method,
    optimizer: optax.GradientTransformation,
    batches_from: Callable[[int], Batches],
    *,
    steps: int,
    workdir: str | Path,
    seed: int,
    classes: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    log_every: int = 50,
    checkpoint_every: int = 500,
    keep_checkpoints: int = 2,
    adapt: Callable[[Any, Any], tuple[Any, Any]] | None = None,
) -> int:
    """Trains until `steps` updates are made or the process is told to stop.

    Goes on from the newest checkpoint in `workdir`, and leaves one there at the end.

    Args:
        method: what is trained.
        optimizer: how.
        batches_from: step t -> this process's rows of the global batches t, t+1, ...
        steps: updates of the whole run.
        workdir: folder of the run; made if it does not exist.
        seed: of the initial parameters and of every step.
        classes: names kept in the checkpoints, background first.
        config: JSON types; kept in the checkpoints and compared when resuming.
        log_every: updates between two log lines.
        checkpoint_every: updates between two checkpoints.
        keep_checkpoints: how many stay.
        adapt: changes the initial parameters and model state of a new run, such as by
            loading weights.

    Returns:
        The number of updates made.

    Raises: UserError where the loss is not finite, the disk is full, or `workdir`
        holds another run. The last good checkpoint stays.
    """
    workdir = Path(workdir).expanduser()
    config = json.loads(json.dumps(config or {}))
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run folder {workdir}: {error}") from error

    with contextlib.ExitStack() as stack:
        stack.enter_context(guard.full_disk(workdir))
        stopper = stack.enter_context(contextlib.closing(Stopper()))
        logger = stack.enter_context(contextlib.closing(log.Log(workdir)))
        mesh = meshes.make_mesh()
        init_key, root_key = jax.random.split(jax.random.key(seed))

        found = checkpoint.newest_step(workdir) or 0
        guard.check_same_run(checkpoint.newest_meta(workdir), config, workdir)
        if found >= steps and checkpoint.restore(workdir).step >= steps:
            logger.line(f"{workdir} is finished: {found} of {steps} steps are made")
            return found
        batches = batches_from(found)
        first = next(batches, None)
        if first is None:
            raise UserError("the training data has no batch; is the split empty?")
        state = create_state(
            method, optimizer, init_key, _global_spec(first), mesh, adapt=adapt
        )
        restored = checkpoint.restore_state(workdir, state, log=logger.line)
        if restored is not None:
            state = restored[0]
        start = int(state.step)
        if start == found:
            batches = itertools.chain([first], batches)
        else:
            batches = batches_from(start)
        _announce(logger, state, mesh, start, steps, workdir)
        _write_config(workdir, config)

        saver = checkpoint.Checkpoints(
            workdir, keep=keep_checkpoints, config=config, classes=classes
        )
        stack.enter_context(contextlib.closing(saver))
        logger.start(start, steps)
        images = jax.process_count() * _count_images(first)
        device_batches = feed.to_devices(batches, mesh)
        stack.enter_context(contextlib.closing(device_batches))
        return _run(
            make_step(method, optimizer, mesh, root_key),
            state,
            device_batches,
            start=start,
            steps=steps,
            log_every=log_every,
            checkpoint_every=checkpoint_every,
            saver=saver,
            logger=logger,
            meter=log.Meter(images),
            stopper=stopper,
        )


def _run(
    step_function,
    state: TrainState,
    batches: Iterator[dict[str, jax.Array]],
    *,
    start: int,
    steps: int,
    log_every: int,
    checkpoint_every: int,
    saver: checkpoint.Checkpoints,
    logger: log.Log,
    meter: log.Meter,
    stopper: Stopper,
) -> int:
    def report(known) -> None:
        for step, values in known:
            guard.check_finite(step, values, saver)
            left = meter.seconds_left(steps - step)
            logger.progress(step, meter.rate, left)
            if step % log_every == 0 or step == steps:
                logger.scalars(step, meter.means(), meter.rate, left)

    def save() -> None:
        if done > start:
            report(meter.fetch())  # a state after a non-finite step is not saved
            saver.save(state, done)

    done = start
    while done < steps and not stopper.stop(saver, done):
        try:
            batch = next(batches)
        except Exception:
            # A photo that cannot be read must not cost the steps before it. Saving
            # takes all processes, and only this one may have met the error.
            if jax.process_count() == 1:
                save()
                saver.wait()
            raise
        state, scalars = step_function(state, batch)
        done += 1
        report(meter.push(done, scalars))
        if done % checkpoint_every == 0 and done < steps:
            save()
    save()
    saver.wait()
    if done < steps:
        logger.line(
            f"stopped by {stopper.reason} after step {done} of {steps}; the same "
            "command goes on from there"
        )
    else:
        logger.line(f"finished: {steps} steps")
    return done


def train(config: Any, workdir: str | Path) -> int:
    """Builds data, method and optimizer from `config` (a ConfigDict) and fits them.

    Returns and raises as `fit`.
    """
    # TensorFlow comes with it, which the step does not need.
    from ppcjax import data_pipelines, methods
    from ppcjax.train import optim, settings

    reads = settings.reads_of(config.method)
    settings.check(config, reads)
    source = data_pipelines.make_source(
        config.data, config.data.train_split, reads=reads
    )
    if not len(source):
        raise UserError(
            f"split config.data.train_split={config.data.train_split!r} of "
            f"{config.data.source!r} has no images"
        )

    def batches_from(step: int) -> Batches:
        return data_pipelines.make_train(
            config.data,
            source,
            reads=reads,
            seed=config.seed,
            start_step=step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    return fit(
        methods.make(config.method, len(source.classes)),
        optim.make(steps=config.steps, **config.optim),
        batches_from,
        steps=config.steps,
        workdir=workdir,
        seed=config.seed,
        classes=source.classes,
        config=config.to_dict(),
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
        adapt=_loader(config.init_from) if config.init_from else None,
    )


def _loader(path: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    def load(params, model_state):
        from ppcjax.weights import load_into

        return load_into(params, model_state, path)

    return load


def _global_spec(rows: dict[str, np.ndarray]) -> dict[str, jax.ShapeDtypeStruct]:
    processes = jax.process_count()
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((len(x) * processes, *x.shape[1:]), x.dtype),
        rows,
    )


def _count_images(rows: dict[str, np.ndarray]) -> int:
    """Images in a batch: also where its rows are episodes or pairs of views."""
    return sum(
        math.prod(x.shape[:-3]) for name, x in rows.items() if name.endswith("image")
    )


def _announce(logger, state: TrainState, mesh, start: int, steps: int, workdir) -> None:
    count = sum(x.size for x in jax.tree.leaves(state.params))
    device = mesh.devices.flat[0].device_kind
    logger.line(
        f"{workdir}: {count:,} parameters on {mesh.size} x {device}, "
        + (f"resuming after step {start}" if start else "starting")
        + f" of {steps}"
    )


def _write_config(workdir: Path, config: dict[str, Any]) -> None:
    if jax.process_index() == 0:
        (workdir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
