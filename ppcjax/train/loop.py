"""The training loop; it knows no paper and no data set.

A run is a function of (config, seed): batch t and the randomness of update t do not
depend on when the process started, so that resuming equals never stopping.
"""

import contextlib
import functools
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
from ppcjax.train import ends, feed, guard, log
from ppcjax.train import mesh as meshes
from ppcjax.train.beginning import Adapt, begin
from ppcjax.train.ends import Account
from ppcjax.train.step import create_state, make_step
from ppcjax.train.stop import Stopper
from ppcjax.train.watch import (
    Watch,
    Watcher,
    as_meta,
    from_meta,
)
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
    adapt: Adapt | None = None,
    watch: Watch | None = None,
    account: Account | None = None,
) -> int:
    """Trains until `steps` updates are made or the process is told to stop.

    Goes on from the newest checkpoint in `workdir`, and leaves one there at the end.

    Args:
        method: what is trained.
        optimizer: how.
        batches_from: step t -> this process's rows of the global batches t, t+1, ...
        steps: updates of the whole run.
        workdir: folder of the run; made if it does not exist.
        seed: seed of the initial parameters and of every step.
        classes: names kept in the checkpoints, background first.
        config: JSON types; kept in the checkpoints and compared when resuming.
        log_every: updates between two log lines.
        checkpoint_every: updates between two checkpoints.
        keep_checkpoints: how many stay.
        adapt: changes the initial parameters and model state of a new run, such as by
            loading weights; takes `log` for the lines that it has to say.
        watch: how the run is scored while it trains; None: not at all.
        account: what was read of the data; None: nothing is said of it.

    Returns:
        The number of updates made.

    Raises: UserError where the loss is not finite, the disk is full, or `workdir`
        holds another run. The last good checkpoint stays.
    """
    workdir = ends.made(workdir)
    config = json.loads(json.dumps(config or {}))

    with contextlib.ExitStack() as stack:
        stack.enter_context(guard.full_disk(workdir))
        stopper = stack.enter_context(contextlib.closing(Stopper()))
        logger = stack.enter_context(contextlib.closing(log.Log(workdir)))
        mesh = meshes.make_mesh()
        init_key, root_key = jax.random.split(jax.random.key(seed))

        found = checkpoint.newest_step(workdir) or 0
        meta = checkpoint.newest_meta(workdir)
        guard.check_same_run(meta, config, workdir)
        if ends.is_finished(workdir, found, meta, steps, watch, logger):
            return found
        batches = batches_from(found)
        first = next(batches, None)
        if first is None:
            raise UserError("the training data has no batch; is the split empty?")
        spec = _global_spec(first)
        loads = adapt and functools.partial(adapt, log=logger.line)
        state = create_state(method, optimizer, init_key, spec, mesh, adapt=loads)
        restored = checkpoint.restore_state(workdir, state, log=logger.line)
        if restored is not None:
            state, meta = restored
        start = int(state.step)
        if start == found:
            batches = itertools.chain([first], batches)
        else:
            batches = batches_from(start)
        ends.announce(logger, state, mesh, start, steps, workdir, account)
        ends.write_config(workdir, config)

        kept = {"config": config, "classes": classes}
        saver = checkpoint.Checkpoints(workdir, keep=keep_checkpoints, **kept)
        stack.enter_context(contextlib.closing(saver))
        best = None
        if watch is not None and watch.keep_best:
            kept |= {"keep": 1, "place": checkpoint.BEST}
            best = checkpoint.Checkpoints(workdir, **kept)
        scores = from_meta(meta if restored is not None else None)
        watcher = Watcher(watch, scores, logger, best)
        stack.enter_context(contextlib.closing(watcher))
        logger.start(start, steps)
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
            meter=log.Meter(jax.process_count() * _count_images(first)),
            stopper=stopper,
            watcher=watcher,
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
    watcher: Watcher,
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
            saver.save(state, done, scores=as_meta(watcher.scores))

    done = start
    while done < steps and not watcher.stops and not stopper.stop(saver, done):
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
        if watcher.due(done):
            report(meter.fetch())  # nor is it scored
            # Where several processes write two checkpoints at a time, Orbax mixes
            # them up: the last one must lie on disk before the best one is written.
            saver.wait()
            watcher.look(state, done)
            meter.pause()
        if done % checkpoint_every == 0 and done < steps:
            save()
    save()
    saver.wait()
    logger.line(ends.last_line(done, steps, watcher, stopper))
    return done


def train(
    config: Any, workdir: str | Path, *, scorer: Callable[..., Any] | None = None
) -> int:
    """Builds data, method and optimizer from `config` (a ConfigDict) and fits them.

    Args:
        config: what is trained, and how.
        workdir: folder of the run.
        scorer: (config, workdir, method, classes) -> `Watch.score`, or None where the
            config asks for none; raises UserError for a wrong config.eval. See
            `ppcjax.evaluate.training.scorer`.

    Returns and raises as `fit`.
    """
    # TensorFlow comes with it, which the step does not need.
    from ppcjax import data_pipelines, methods
    from ppcjax.data_pipelines import survey
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
    read = survey.of_config(config.data, source, reads=reads)
    read.raise_first()
    workdir, whole = Path(workdir).expanduser(), config.to_dict()
    methods.make(whole["method"], len(source.classes))  # refused before any download
    whole["method"], adapt = begin(config.init_from, whole["method"], workdir)
    method = methods.make(whole["method"], len(source.classes))
    score = None
    if scorer is not None:
        score = scorer(whole, workdir, method, source.classes)

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
        method,
        optim.make(steps=config.steps, **config.optim),
        batches_from,
        steps=config.steps,
        workdir=workdir,
        seed=config.seed,
        classes=source.classes,
        config=whole,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
        adapt=adapt,
        watch=score
        and Watch(score, config.eval_every, config.patience, config.keep_best),
        account=ends.Account(read.lines(), read.as_json()),
    )


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
