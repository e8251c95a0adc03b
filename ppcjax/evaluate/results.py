"""The folder that an evaluation or a prediction writes."""

import os
from pathlib import Path

from ppcjax.data_pipelines.formats import WRITERS
from ppcjax.data_pipelines.sources.photos import EXPORT_NOTE
from ppcjax.evaluate.masks.files import FOLDERS
from ppcjax.evaluate.protocol import Request
from ppcjax.runs import Run, checked, provenance
from ppcjax.runs.ours import Folder, Kind, folder
from ppcjax.types import UserError

_METRICS = "metrics.json"
# What versions that kept no list wrote.
_NAMES = {
    *(*FOLDERS, *WRITERS, "episodes", "plans", "correspondences", "classes.txt"),
    *("photos.csv", "report.html", _METRICS, provenance.NAME, EXPORT_NOTE),
    "prototypes.npz",
}


def _is_earlier(path: Path) -> bool:
    """Whether an earlier version wrote a folder: it says so, or it was interrupted."""
    begun = _first(path / EXPORT_NOTE, lines=True)
    made, metrics = _first(path / provenance.NAME), _first(path / _METRICS)
    return "made_by" in begun or (
        {"version", "checkpoint", "evaluation"} <= made.keys()
        and {"config", "evaluation"} <= metrics.keys()
    )


def _first(file: Path, *, lines: bool = False) -> dict:
    """What a JSON file, or its first line, notes; {} where it notes nothing."""
    try:
        found = next(checked.lines(file), {}) if lines else checked.read_json(file)
    except (OSError, UserError):
        return {}
    return found if isinstance(found, dict) else {}


RESULTS = Kind(
    "results",
    "folder of results",
    frozenset(_NAMES),
    _is_earlier,
    frozenset({EXPORT_NOTE}),
    # The photos go there, too, for some tools.
    frozenset(WRITERS),
)


def looked_at(run: Run, request: Request) -> Folder:
    """The folder that a request is written to, before anything is predicted.

    Raises:
        UserError: the photos lie there, or something else that is not ours.
    """
    out = request.out(run, request.split_of(request.data(run)))
    for place in map(os.path.expanduser, request.elsewhere):
        if os.path.isdir(place) and os.path.realpath(place) == os.path.realpath(out):
            raise UserError(
                f"{out}: the photos lie there, and the results would be taken for some "
                f"the next time; choose another folder, such as {out / 'predicted'}"
            )
    return results(out)


def results(place: str | Path | Folder) -> Folder:
    """The folder of results at a place.

    Raises:
        UserError: it holds what this program did not write.
    """
    return folder(place, RESULTS)
