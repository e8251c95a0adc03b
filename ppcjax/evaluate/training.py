"""What training needs of evaluation: config.eval is checked, networks are scored."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ppcjax import data_pipelines, fields, methods
from ppcjax.console import compiling, loops, memory
from ppcjax.data_pipelines.sources.subset import largest, take
from ppcjax.evaluate import EVALUATIONS, fitting
from ppcjax.evaluate.protocol import Evaluation, Plan, Request, count_all
from ppcjax.predict import needs
from ppcjax.predict.photos import predict_photos, prediction_settings
from ppcjax.runs import Run
from ppcjax.types import Method, UserError

# Kinds of predictions that photos of any size have.
OF_PHOTOS = ("maps", "logits")


class Scorer(NamedTuple):
    """Scores a network while it trains.

    config: config of the run, JSON types.
    workdir: folder of the run.
    method: what is trained.
    classes: names of the data's classes.
    evaluation: how it is scored.
    settings: those of the evaluation.
    split: what it is scored on.
    """

    config: Mapping[str, Any]
    workdir: Path
    method: Method
    classes: tuple[str, ...]
    evaluation: Evaluation
    settings: Any
    split: str

    def score(self, params: Any, model_state: Any, step: int) -> dict[str, float]:
        """Scores by name, the first of which steers the training."""
        with self._guarded():
            plan = self._plan(self._run(params, model_state, step))
            shown = loops.show_progress(
                plan.predictions,
                plan.total,
                f"scoring {self.split}",
                unit=plan.unit,
                compiles="the network that is scored",
                ends=False,
            )
            counts = count_all(plan._replace(predictions=shown))
        return plan.score(plan.summarize(counts))

    def rehearse(self, params: Any, model_state: Any) -> None:
        """Predicts once what needs most memory: a lack of it shows before training."""
        run = self._run(params, model_state, 0)
        with self._guarded(), compiling.announced("the network that is scored"):
            if self.method.gives in OF_PHOTOS:
                predictions = _of_largest(run, self.split)
            else:
                predictions = self._plan(run).predictions
            for _ in predictions:
                break

    def _run(self, params: Any, model_state: Any, step: int) -> Run:
        kept = jax.device_get(self.method.keep(params, model_state))
        config = dict(self.config)
        return Run(self.workdir, step, config, self.classes, self.method, *kept)

    def _plan(self, run: Run) -> Plan:
        request = Request(split=self.split, trial=True)
        return self.evaluation.plan(run, self.settings, request, frozenset())

    def _guarded(self):
        what = f"scoring the run on {self.split}"
        return memory.guarded(
            what, needs.advice(fields.flat(self.settings), "config.eval.")
        )


def _of_largest(run: Run, split: str) -> Iterator[Any]:
    """Predictions of a whole batch of the largest photo of a split."""
    data, settings = run.config["data"], prediction_settings(run.evaluation)
    source = data_pipelines.make_source(
        data, split, classes=run.classes, evaluation=True, lists=run.lists
    )
    if not len(source):
        return iter(())
    same = take(source, [largest(source)] * settings["scaling"].batch_size)
    return predict_photos(run, data_pipelines.make_eval(data, same), settings)


def settings_of(evaluation: Evaluation, values: Mapping[str, Any], what: str) -> Any:
    """The settings of an evaluation from config.eval; UserError for a wrong one."""
    return fields.build(
        evaluation.settings, dict(values), where="config.eval", what=what
    )


def check(config: Any) -> None:
    """Checks the values of config.eval; what needs the data is seen to by `scorer`.

    Args:
        config: ConfigDict whose other parts are right.

    Raises:
        UserError: a setting is unknown, or its value is not allowed.
    """
    name = fitting(methods.make({"name": config.method.name}, 3))[0]
    settings_of(EVALUATIONS[name], config.get("eval", {}), f"the evaluation {name!r}")


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
        What scores it; None where config.eval_every is 0.

    Raises:
        UserError: a setting is wrong, or there is no split to choose by.
    """
    name = fitting(method)[0]
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
    return Scorer(config, workdir, method, tuple(classes), evaluation, short, split)
