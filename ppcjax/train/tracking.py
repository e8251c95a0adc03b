"""Values of a run in a tracker on the web, besides the files of its folder.

A tracker is company, not a part of the run: what goes wrong there is said once, and
training goes on.
"""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import jax

from ppcjax import checkout, fields
from ppcjax.console import screen
from ppcjax.fields import Name
from ppcjax.runs.checked import read_json
from ppcjax.runs.files import write_json

Say = Callable[[str], None]
FILE = "wandb.json"  # in the run folder: the id, so that the run goes on there, too
_Id = Annotated[str, Name()]
PROJECT = "ppcjax"  # where WANDB_PROJECT is not set


class Tracker:
    """Takes values until it fails or is closed."""

    def __init__(self, run: Any, say: Say):
        """From a run of the tracker's library; `say` takes one line of what fails."""
        self._run = run
        self._say = say

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the values after update `step`."""
        self._try(lambda run: run.log(dict(values), step=step))

    def close(self) -> None:
        """Ends the run there."""
        self._try(lambda run: run.finish())
        self._run = None

    def _try(self, call: Callable[[Any], Any]) -> None:
        if self._run is None:
            return
        try:
            call(self._run)
        except Exception as error:  # whatever it is, training is worth more
            self._run = None
            self._say(_failed(error))


def check(name: str) -> None:
    """Raises UserError where the library of a tracker is missing."""
    if name:
        checkout.require(f"config.track={name}", name)


def opened(config: Mapping[str, Any], workdir: Path, say: Say) -> Tracker | None:
    """The tracker of a run, which goes on where it was; None where there is none.

    Args:
        config: config of the run, JSON types.
        workdir: folder of the run.
        say: takes lines: where the values can be seen, or why not.
    """
    name = config.get("track", "")
    if not name or jax.process_index():
        return None
    try:
        with screen.waiting("waiting for Weights & Biases"):
            run, line = TRACKERS[name](config, workdir)
    except Exception as error:
        say(_failed(error))
        return None
    say(line)
    return Tracker(run, say)


def _wandb(config: Mapping[str, Any], workdir: Path) -> tuple[Any, str]:
    import os

    import wandb

    known = read_json(workdir / FILE)
    name = fields.check(_Id, known.get("id") or secrets.token_hex(4), FILE)
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=workdir.name,
        id=name,
        resume="allow",
        dir=str(workdir),
        config=dict(config),
        # Nothing on the terminal, and nothing of it is taken.
        settings=wandb.Settings(console="off", silent=True),
    )
    write_json(workdir / FILE, {"id": name})
    if run.offline:
        kept = Path(run.dir).parent
        return run, f"Weights & Biases: kept here; wandb sync {kept} sends it later"
    return run, f"Weights & Biases: {run.url}"


def _failed(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return (
        f"Weights & Biases failed ({type(error).__name__}: {lines[0]}); training goes "
        "on without it"
    )


# Value of config.track -> (config, workdir) -> its run, and a line on it.
TRACKERS = {"wandb": _wandb}
