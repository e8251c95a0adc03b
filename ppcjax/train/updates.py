"""The updates of a run, one after another: logged, scored, saved and stopped."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from ppcjax.console import signals
from ppcjax.runs import checkpoint
from ppcjax.train import ends, guard, log
from ppcjax.train.jobs import Job
from ppcjax.train.length import duration
from ppcjax.train.stop import Stopper
from ppcjax.train.watch import Watcher, as_meta
from ppcjax.types import TrainState


def make_updates(
    job: Job,
    step_function: Callable[..., Any],
    state: TrainState,
    batches: Iterator[dict[str, jax.Array]],
    *,
    start: int,
    saver: checkpoint.Checkpoints,
    logger: log.Log,
    meter: log.Meter,
    stopper: Stopper,
    watcher: Watcher,
) -> int:
    """Updates the state until the job is done, or the process is told to stop.

    Args:
        job: what is trained, and how long.
        step_function: (state, batch) -> (state, scalars); the old state is donated.
        state: after `start` updates.
        batches: global batches from number `start` on.
        start: updates made before.
        saver: writes the checkpoints.
        logger: takes lines, scalars and progress.
        meter: means of the scalars, and the speed.
        stopper: says whether to stop.
        watcher: scores the state, and says whether that is reason to stop.

    Returns:
        The number of updates made.

    Raises: UserError where a loss is not finite; whatever `batches` raises.
    """
    steps = job.steps
    told = job.paced is not None and not start

    def report(known) -> None:
        nonlocal told
        for step, values in known:
            guard.check_finite(step, values, saver)
            left = meter.seconds_left(steps - step)
            rate = meter.rate
            if meter.is_steady and not told and step < steps:
                told = True
                logger.line(f"{steps - step:,} steps left: {duration(left)}")
            if step % job.log_every == 0 or step == steps:
                logger.scalars(step, meter.means(), rate, left)
            logger.progress(step, rate, left)  # a step has one line

    def look() -> None:
        if done > start:
            report(meter.fetch())  # a state that is not finite is not scored
        # Where several processes write two checkpoints at a time, Orbax mixes
        # them up: the last one must lie on disk before the best one is written.
        saver.wait()
        watcher.look(state, done, stopper.breaking() if done < steps else None)
        meter.pause()

    def save() -> None:
        if done > start:
            report(meter.fetch())  # a state after a non-finite step is not saved
            scores = as_meta(watcher.scores)
            saver.save(state, done, scores=scores, window=meter.as_meta())

    watcher.rehearse(state)
    done = start
    if watcher.due(done):  # a signal broke the scoring off
        look()
    while done < steps and not watcher.stops and not stopper.stop(saver, done):
        saver.check()
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
        stopper.note_step()
        report(meter.push(done, scalars))
        if watcher.due(done) and not (stopper.is_asked and done < steps):
            look()
        if done % job.checkpoint_every == 0 and done < steps:
            save()
    save()
    saver.wait()
    logger.line(ends.last_line(done, steps, watcher, stopper))
    if done < steps and not watcher.stops:
        signals.saved_for(stopper.number)
    return done
