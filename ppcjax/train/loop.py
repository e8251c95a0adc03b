"""The training loop; it knows no paper and no data set.

A run is a function of (config, seed): batch t and the randomness of update t do not
depend on when the process started, so that resuming equals never stopping.
"""

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from ppcjax.console import compiling, screen
from ppcjax.runs import checkpoint, ours
from ppcjax.runs.kinds import RUN
from ppcjax.train import ends, feed, guard, log, looking, pace, peers
from ppcjax.train import mesh as meshes
from ppcjax.train.beginning import Adapt
from ppcjax.train.ends import Account
from ppcjax.train.jobs import Job
from ppcjax.train.step import create_state, make_step
from ppcjax.train.stop import Stopper
from ppcjax.train.updates import make_updates
from ppcjax.train.watch import Watch, Watcher, from_meta
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
    accumulate: int = 1,
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
        accumulate: parts of a batch whose gradients are formed one after another.

    Returns:
        The number of updates made.

    Raises: UserError where the loss is not finite, the disk is full, or `workdir`
        holds another run. The last good checkpoint stays.
    """
    config = json.loads(json.dumps(config or {}))
    job = Job(method, optimizer, steps, config, log_every, checkpoint_every, watch)
    job = job._replace(accumulate=accumulate)
    workdir = ends.made(workdir)
    with peers.leaving(), ends.alone_in(workdir):
        return fit_job(
            job,
            batches_from,
            workdir=workdir,
            seed=seed,
            classes=classes,
            keep_checkpoints=keep_checkpoints,
            adapt=adapt,
            account=account,
        )


def fit_job(
    job: Job,
    batches_from: Callable[[int], Batches],
    *,
    workdir: str | Path,
    seed: int,
    classes: tuple[str, ...],
    keep_checkpoints: int,
    adapt: Adapt | None,
    account: Account | None = None,
) -> int:
    """As `fit`, for a job whose steps may be lowered; who calls it holds the folder."""
    workdir = ends.made(workdir)
    with contextlib.ExitStack() as stack:
        stack.enter_context(guard.enough_room(workdir, job.config))
        stopper = stack.enter_context(contextlib.closing(Stopper()))
        logger = stack.enter_context(contextlib.closing(log.Log(workdir)))
        mesh = meshes.make_mesh()
        init_key, root_key = jax.random.split(jax.random.key(seed))
        make = functools.partial(_step_of, mesh, root_key)
        found = checkpoint.newest_step(workdir) or 0
        meta = checkpoint.newest_meta(workdir)
        whole = job.before or job.config
        guard.check_same_run(meta, whole, workdir, classes, log=logger.line)
        if ends.is_finished(workdir, found, meta, job.steps, job.watch, logger):
            return found
        batches_from = looking.looked_at(job.method, batches_from)
        first = feed.first_of(batches := batches_from(found))
        state = create_state(
            job.method,
            job.optimizer,
            init_key,
            feed.global_spec(first),
            mesh,
            adapt=adapt and functools.partial(adapt, log=logger.line),
        )
        restored = checkpoint.restore_state(workdir, state, log=logger.line)
        if restored is not None:
            state, meta = restored
        start = int(state.step)
        on = start == found
        batches = itertools.chain([first], batches) if on else batches_from(start)
        step = make(job)  # compiled when it is first called
        planned = job.paced is not None and not start
        about = (start, job.steps, workdir, account)
        ends.announce(logger, state, mesh, *about, bound=planned)
        if planned:
            paced = _paced(job, step, make, state, batches, mesh, logger)
            job, step, state, batches = paced
        ends.write_config(workdir, job.config)

        kept = {"config": job.config, "classes": classes}
        saver, best = ends.savers(stack, workdir, job.watch, keep_checkpoints, kept)
        meta = None if restored is None else meta
        watcher = Watcher(job.watch, from_meta(meta), logger, best)
        stack.enter_context(contextlib.closing(watcher))
        logger.start(start, job.steps, job.config)
        device_batches = feed.to_devices(batches, mesh)
        stack.enter_context(contextlib.closing(device_batches))
        stack.enter_context(peers.leaving())  # before closing waits for the others
        return make_updates(
            job,
            step,
            state,
            device_batches,
            start=start,
            saver=saver,
            logger=logger,
            meter=log.Meter(feed.count_images(first), meta),
            stopper=stopper,
            watcher=watcher,
        )


def _step_of(mesh: Mesh, root_key: jax.Array, job: Job) -> Any:
    parts = job.accumulate
    step = make_step(job.method, job.optimizer, mesh, root_key, parts=parts)
    return compiling.at_first_call(step, "the training step")


def _paced(
    job: Job,
    step: Any,
    make: Callable[[Job], Any],
    state: TrainState,
    batches: Batches,
    mesh: Mesh,
    logger: log.Log,
) -> tuple[Job, Any, TrainState, Batches]:
    """The job within its bound on time and its step; state and batches as before."""
    logger.line("the speed is measured on a few steps, which do not count")
    seconds, state, batches = pace.measure(step, state, batches, mesh)
    lowered, line = job.paced(seconds)
    logger.line(line)
    return lowered, step if lowered is job else make(lowered), state, batches


def train(
    config: Any,
    workdir: str | Path,
    *,
    scorer: Callable[..., Any] | None = None,
    check: Callable[[Any], None] | None = None,
    hints: Sequence[str] = (),
) -> int:
    """Builds data, method and optimizer from `config` (a ConfigDict) and fits them.

    Args:
        config: what is trained, and how.
        workdir: folder of the run.
        scorer: (config, workdir, method, classes) -> `Watch.score`, or None where the
            config asks for none; raises UserError for a wrong config.eval. See
            `ppcjax.evaluate.training.scorer`.
        check: raises UserError for a wrong config.eval, before the data is opened; see
            `ppcjax.evaluate.training.check`.
        hints: lines that are said where the run begins.

    Returns and raises as `fit`.
    """
    with peers.leaving():
        return _train(config, Path(workdir).expanduser(), scorer, check, hints)


def _train(
    config: Any,
    workdir: Path,
    scorer: Callable[..., Any] | None,
    check: Callable[[Any], None] | None,
    hints: Sequence[str],
) -> int:
    with screen.Row("loading TensorFlow"):  # which the step does not need
        from ppcjax import data_pipelines
        from ppcjax.data_pipelines import survey
        from ppcjax.train import jobs, settings

    reads = settings.reads_of(config.method)
    run = settings.check(config, reads)
    settings.check_method(config)
    if check is not None:
        check(config)
    ours.check(workdir, RUN)
    ends.look_whether_alone(workdir)  # reading the data may take long
    source = data_pipelines.make_source(
        config.data,
        config.data.train_split,
        reads=reads,
        lists=ends.lists_of(workdir),
    )
    if not len(source):
        raise UserError(
            f"split config.data.train_split={config.data.train_split!r} of "
            f"{config.data.source!r} has no images"
        )
    read = survey.of_config(config.data, source, reads=reads)
    read.raise_first()

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

    job, adapt = jobs.make(
        config,
        run,
        workdir,
        photos=len(source),
        classes=source.classes,
        reads=reads,
        scorer=scorer,
    )
    with ends.alone_in(ends.made(workdir)):
        ends.keep_lists(workdir, source.reading.drawn)
        looking.begin(job, workdir, batches_from, len(source))
        return fit_job(
            job,
            batches_from,
            workdir=workdir,
            seed=config.seed,
            classes=source.classes,
            keep_checkpoints=config.keep_checkpoints,
            adapt=adapt,
            account=ends.Account(read.lines(), read.as_json(), hints),
        )
