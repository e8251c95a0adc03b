"""What a config becomes for a number of steps: the job that the loop does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import optax

from ppcjax.frozen import kept
from ppcjax.runs import checkpoint
from ppcjax.train import length
from ppcjax.train.beginning import Adapt, begin
from ppcjax.train.looking import Looking
from ppcjax.train.settings import RunSettings
from ppcjax.train.watch import Watch
from ppcjax.types import Method


class Job(NamedTuple):
    """What follows from the number of steps of a run.

    method: what is trained.
    optimizer: how.
    steps: updates of the whole run.
    config: JSON types; kept in the checkpoints.
    log_every: updates between two log lines.
    checkpoint_every: updates between two checkpoints.
    watch: how the run is scored while it trains; None: not at all.
    before: config with the steps that an interrupted run had, to compare; None: the
        same.
    accumulate: parts of a batch whose gradients are formed one after another.
    frozen: what looks at the photos before the method does.
    paced: seconds of a step -> the job within the bound on the time, and a line that
        says how long it takes; for a new run whose steps are counted in passes.
    """

    method: Method
    optimizer: optax.GradientTransformation
    steps: int
    config: dict[str, Any]
    log_every: int = 50
    checkpoint_every: int = 500
    watch: Watch | None = None
    before: dict[str, Any] | None = None
    accumulate: int = 1
    frozen: Looking = Looking(None)
    paced: Callable[[float], tuple["Job", str]] | None = None


def make(
    config: Any,
    run: RunSettings,
    workdir: Path,
    *,
    photos: int,
    classes: tuple[str, ...],
    reads: str,
    scorer: Callable[..., Any] | None,
) -> tuple[Job, Adapt | None]:
    """The job of a config: its steps are given, those of the run there, or planned.

    Args:
        config: ConfigDict, checked.
        run: its fields that belong to no part.
        workdir: folder of the run.
        photos: number of photos to learn from.
        classes: names of the data's classes.
        reads: what the method reads.
        scorer: makes what scores the run while it trains, see `loop.train`.

    Returns:
        The job, and what puts weights of others in place, see `begin`.

    Raises:
        UserError: a setting is wrong, changes nothing here, or weights cannot be had.
    """
    from ppcjax import methods
    from ppcjax.nn.remat import rematerialized
    from ppcjax.train import optim, settings

    if run.remat:
        settings.check_remat()

    meta = checkpoint.newest_meta(workdir)
    before = int(meta["config"].get("steps", 0)) if meta else 0
    each = length.photos_per_step(config.data, reads)
    counted = length.planned(run.passes, run.minutes, photos, each)
    steps = run.steps or before or counted.steps
    begun = length.at(config, steps)
    plain = begun["method"]
    # Refused before any download.
    if methods.make(kept.method_of(begun), len(classes)).loss is None:
        raise settings.nothing_to_train(plain["name"])
    frozen = Looking.of(config, workdir)
    method, adapt = begin(run.init_from, frozen.fitted(plain), workdir)
    of_weights = {k: v for k, v in method.items() if plain.get(k) != v}

    def config_at(steps: int) -> dict[str, Any]:
        found = length.at(config, steps)
        method = found["method"] | of_weights
        return {**found, **frozen.config, "method": method}

    def job(steps: int) -> Job:
        whole = config_at(steps)
        made = frozen.under(methods.make(whole["method"], len(classes)))
        if run.remat:
            made = made._replace(loss=rematerialized(made.loss))
        score = scorer and scorer(whole, workdir, made, classes)
        times = (whole.get("eval_every", run.eval_every), run.patience, run.keep_best)
        return Job(
            made,
            optim.make(steps=steps, **whole["optim"]),
            steps,
            _as_json(whole),
            whole.get("log_every", run.log_every),
            whole.get("checkpoint_every", run.checkpoint_every),
            watch=score and Watch(score.score, *times, rehearse=score.rehearse),
            before=_as_json(config_at(before)) if before else None,
            accumulate=run.accumulate,
            frozen=frozen,
            paced=None if run.steps or before else paced,
        )

    def paced(seconds: float) -> tuple[Job, str]:
        chosen = counted.within(seconds)
        same = chosen.steps == counted.steps
        return whole if same else job(chosen.steps), chosen.text(seconds)

    whole = job(steps)
    return whole, adapt


def _as_json(config: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint keeps it, with lists for tuples."""
    return json.loads(json.dumps(config))
