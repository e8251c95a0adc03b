"""Kinds of folders that are known on every floor: runs."""

from pathlib import Path

from ppcjax.runs import checked, checkpoint
from ppcjax.runs.ours import Kind
from ppcjax.runs.saving import is_unfinished
from ppcjax.runs.there import names_in
from ppcjax.types import UserError


def _is_run(folder: Path) -> bool:
    """Whether a folder without a list is a run, or was about to become one."""
    for place in (checkpoint.FOLDER, checkpoint.BEST):
        steps = [folder / place / str(n) for n in checkpoint.saved_steps(folder, place)]
        if any((step / part).is_dir() for step in steps for part in ("state", "meta")):
            return True
    if names_in(folder) == ["inspect"]:
        return names_in(folder / "inspect") == ["contact.png"]
    try:
        found = checked.read_json(folder / "config.json")
        checked.config_of(found, "config.json")
    except UserError:
        return False
    return {"name", "data"} <= found.keys()


def _is_bare(folder: Path) -> bool:
    """Whether only steps that were never finished lie in a folder, or none at all.

    A save that is under way makes the folders again that are removed beneath it.
    """
    places = names_in(folder)
    return {*places} <= {checkpoint.FOLDER, checkpoint.BEST} and all(
        (folder / place).is_dir() and all(map(is_unfinished, names_in(folder / place)))
        for place in places
    )


RUN = Kind("run", "run folder", earlier=_is_run, bare=_is_bare)
