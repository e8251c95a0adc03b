"""What training needs of evaluation: config.eval is checked, networks are scored."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ppcjax import fields
from ppcjax.console import loops, memory
from ppcjax.evaluate import EVALUATIONS
from ppcjax.evaluate.protocol import Evaluation, Request, count_all
from ppcjax.predict import needs
from ppcjax.runs import Run
from ppcjax.types import Method, UserError

Scorer = Callable[[Any, Any, int], dict[str, float]]


def settings_of(evaluation: Evaluation, values: Mapping[str, Any], what: str) -> Any:
    """The settings of an evaluation from config.eval; UserError for a wrong one."""
    return fields.build(
        evaluation.settings, dict(values), where="config.eval", what=what
    )


def scorer(
    config: Mapping[str, Any],
    workdir: Path,
    method: Method,
    classes: Sequence[str],
) -> Scorer | None:
    """Checks config.eval, and scores a network while it trains if it is asked for.

    Args:
        config: config of the run, JSON types.
        workdir: folder of the run.
        method: what is trained.
        classes: names of the data's classes.

    Returns:
        (params, model_state, step) -> scores by name, the first of which steers the
        training; None where config.eval_every is 0.

    Raises:
        UserError: a setting is wrong, or there is no split to choose by.
    """
    name = method.gives
    evaluation = EVALUATIONS[name]
    settings = settings_of(
        evaluation, config.get("eval", {}), f"the evaluation {name!r}"
    )
    evaluation.check(settings, config["data"], tuple(classes))
    if not config.get("eval_every"):
        return None
    if evaluation.trial is None:
        raise UserError(
            f"config.eval_every={config['eval_every']}: the evaluation {name!r} needs "
            "more than the run itself, so that it cannot score it while it trains; "
            "set 0"
        )
    short, split = evaluation.trial(settings, config["data"])
    request = Request(split=split, trial=True)

    def score(params: Any, model_state: Any, step: int) -> dict[str, float]:
        params, model_state = jax.device_get(method.keep(params, model_state))
        run = Run(
            workdir, step, dict(config), tuple(classes), method, params, model_state
        )
        with memory.guarded(f"scoring the run on {split}", needs.advice(short)):
            plan = evaluation.plan(run, short, request, frozenset())
            shown = loops.show_progress(
                plan.predictions,
                plan.total,
                f"scoring {split}",
                unit=plan.unit,
                compiles="the network that is scored",
                ends=False,
            )
            counts = count_all(plan._replace(predictions=shown))
        return plan.score(plan.summarize(counts))

    return score
