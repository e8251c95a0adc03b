"""An evaluation is a value, like a method.

`Evaluation` describes one: its settings, the runs that it fits, and how it becomes a
`Plan`, which is ready to run. `ppcjax.evaluate.driver` runs any plan. Counts are nested
dicts of numbers and arrays that add up, so that photos, episodes and views need one
loop.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from ppcjax.console import screen
from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.fields import Name, Range, kinds
from ppcjax.report.page import Page
from ppcjax.runs import Run
from ppcjax.runs.names import below
from ppcjax.runs.ours import Folder
from ppcjax.types import Method, UserError

Counts = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is evaluated and where to: the options that all evaluations share.

    split: part of the data; empty: config.data.eval_split.
    root: folder where the data lies now; empty: config.data.root.
    images: folder of photos, or a quoted pattern, instead of a split.
    photos: files, folders and patterns, of which nothing but photos is read.
    export: folder of the results; empty: RUN/eval-SPLIT.
    limit: largest number of photos, evenly spaced; None: all.
    on_bad_image: what happens at a photo that cannot be used; empty: the config's.
    anew: whether photos that an interrupted export finished are predicted again where
        something else than now made it.
    trial: whether it only chooses a checkpoint, so that nothing else is chosen by it.
    """

    split: Literal[""] | Annotated[str, Name()] = ""
    root: str = ""
    images: str = ""
    photos: tuple[str, ...] = ()
    export: str = ""
    limit: Annotated[int, Range(1, kinds.MOST), "photos"] | None = None
    on_bad_image: Literal["", "stop", "skip"] = ""
    anew: bool = False
    trial: bool = False

    def __post_init__(self):
        """Raises UserError where an option would do nothing."""
        for name in ("split", "root"):
            if self.images and getattr(self, name):
                raise UserError(
                    f"--images={self.images} takes the place of the data set, so that "
                    f"--{name}={getattr(self, name)} would do nothing; leave one out"
                )

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Where photos are that take the place of the data set; () for a split."""
        return self.photos or tuple(filter(None, (self.images,)))

    def data(self, run: Run) -> dict[str, Any]:
        """The config.data of a run with what this request replaces."""
        data = copy.copy(run.config["data"])
        data["on_bad_image"] = self.on_bad_image or data.get("on_bad_image", "stop")
        if self.root:
            data["root"] = self.root
        return data

    def split_of(self, data: Mapping[str, Any]) -> str:
        """Name of what is evaluated."""
        if self.elsewhere:
            return "photos" if self.photos else "images"
        return self.split or data["eval_split"]

    def out(self, run: Run, split: str) -> Path:
        """Folder of the results of a split."""
        if self.export:
            return Path(self.export).expanduser()
        return below(Path(run.folder), f"eval-{split}")


class Plan(NamedTuple):
    """An evaluation that is ready to run.

    run: network that is evaluated.
    split: name of what it is evaluated on.
    predictions: stream of what the network says.
    total: length of that stream, for the progress bar.
    unit: what is counted there, such as "photos".
    count: prediction -> counts, nested dicts of what adds up; {} for nothing.
    summarize: summed counts -> results, a dict.
    score: results -> scores by name, the first of which steers the training; NaN where
        they are undefined.
    write: (prediction, folder) -> files of one prediction are written.
    tile: prediction -> its entry in the gallery, or None.
    files: name -> content of files that stand beside all predictions.
    finish: folder -> what is made of the files of all predictions is written.
    record: what provenance.json says beside its head.
    skipped: id -> reason of examples that were left out, filled while predicting.
    account: what was read, see `announce`; {} where nothing is said of it.
    kept: how many of `total` an interrupted export has, which are in no prediction.
    complete: called when everything is written.
    text: metrics -> lines for a terminal.
    page: (metrics, tiles) -> what the report shows.
    """

    run: Run
    split: str
    predictions: Iterable[Any]
    total: int
    unit: str
    count: Callable[[Any], Counts]
    summarize: Callable[[Counts], dict[str, Any]]
    score: Callable[[Mapping[str, Any]], dict[str, float]]
    write: Callable[[Any, Folder], None]
    tile: Callable[[Any], Any | None]
    text: Callable[[Mapping[str, Any]], str]
    page: Callable[[Mapping[str, Any], Sequence[Any]], Page]
    files: Mapping[str, bytes] = {}
    finish: Callable[[Folder], None] = lambda folder: None
    record: Mapping[str, Any] = {}
    skipped: Mapping[str, str] = {}
    account: Mapping[str, Any] = {}
    kept: int = 0
    complete: Callable[[], None] = lambda: None


class Evaluation(NamedTuple):
    """A kind of evaluation.

    settings: frozen dataclass of config.eval, from which the options of eval.py are
        made, too.
    plan: (run, settings, request, given) -> Plan; `given` names the settings that were
        given for this evaluation, in place of the config's.
    check: (settings, config.data, classes) -> None; UserError where they do not go
        together, before anything is trained or predicted.
    trial: (settings, data) -> settings and split of the evaluation by which training
        chooses a checkpoint; None where training cannot be steered by it.
    fits: method -> whether its runs can be evaluated so.
    takes: fields of Request that count.
    text: what it is, in a line for --help.
    """

    settings: type
    plan: Callable[..., Plan]
    check: Callable[[Any, Mapping[str, Any], tuple[str, ...]], None]
    trial: Callable[[Any, Mapping[str, Any]], tuple[Any, str]] | None
    fits: Callable[[Method], bool]
    takes: tuple[str, ...]
    text: str


def announce(
    source: Source, data: Mapping[str, Any], request: Request, *, reads: str = ""
) -> dict[str, Any]:
    """Says what was read, before the first prediction.

    Args:
        source: what is evaluated.
        data: config.data as requested.
        request: what was asked for; a trial says nothing.
        reads: "views" where neither tags nor masks are looked at.

    Returns:
        The account as JSON types; {} where nothing is said.
    """
    if request.trial:
        return {}
    read = survey.of_config(data, source, reads=reads)
    screen.result("\n".join(read.lines()))
    return read.as_json()


def nothing(*_: Any) -> None:
    """The check of an evaluation whose settings go with any data."""


def added(total: Counts, more: Counts) -> dict[str, Any]:
    """Sum of two counts; a missing key counts as 0."""
    result = dict(total)
    for name, value in more.items():
        if name not in result:
            result[name] = value
        elif isinstance(value, Mapping):
            result[name] = added(result[name], value)
        else:
            result[name] = result[name] + value
    return result


def count_all(plan: Plan, uses: Sequence[Callable[[Any], Any]] = ()) -> Counts:
    """Counts of all predictions of a plan, each of which is handed to `uses`."""
    total: Counts = {}
    for prediction in plan.predictions:
        total = added(total, plan.count(prediction))
        for use in uses:
            use(prediction)
    return total
