"""What makes the masks of an export, and what has changed of it since."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ppcjax import fields
from ppcjax.fields import Free
from ppcjax.runs import Run, provenance
from ppcjax.types import UserError
from ppcjax.version import __version__

# In words, of what `made_by` holds beside the settings.
_WORDS = {
    "prototypes": "other examples",
    "exported": "another threshold",
    "remembered": "another memory",
}
_MOST = 3  # differences that are named
_LONGEST = 30  # letters of a value that is shown


def made_by(run: Run, settings: Any, **more: Any) -> dict[str, Any]:
    """What decides the files of an export, as JSON types.

    The commit does not: a checkout changes more often than the masks that it makes. A
    change of the masks comes with another version.

    Args:
        run: network that predicts.
        settings: those of the evaluation; what is declared to be free does not count.
        **more: what else does; JSON types or bytes.
    """
    free = {
        name
        for name, field in fields.fields_of(type(settings)).items()
        if any(isinstance(mark, Free) for mark in fields.marks_of(field.hint))
    }
    values = {k: v for k, v in fields.flat(settings).items() if k not in free}
    found = {
        "classes": list(run.classes),
        "method": run.config["method"],
        "weights": run.program or _digest_of_weights(run),
        "version": __version__,
        "settings": values,
    } | {k: _digest(v) if isinstance(v, bytes) else v for k, v in more.items()}
    return json.loads(json.dumps(found, default=str))


def head(made: Mapping[str, Any], before: Any = None) -> dict[str, Any]:
    """What the note of an export begins with.

    Args:
        made: what `made_by` gives.
        before: what it began with; photos that are finished are of its commits, too.
    """
    commits = [*commits_of(before), str(provenance.commit())]
    return {"made_by": dict(made), "commits": list(dict.fromkeys(commits))}


def commits_of(before: Any) -> list[str]:
    """Commits of the program that worked on an export; [] where it does not say."""
    found = before.get("commits") if isinstance(before, dict) else None
    return list(map(str, found)) if isinstance(found, list) else []


def differences(before: Any, made: Mapping[str, Any]) -> list[str]:
    """What makes other masks now, in words; [] where nothing does.

    Args:
        before: what the note of an export began with, whatever that is.
        made: what `made_by` gives now.
    """
    then = before.get("made_by") if isinstance(before, dict) else None
    if not isinstance(then, dict):
        return ["another version of the program"]
    old, now = (_flat(made) for made in (then, made))
    changed = [name for name in old | now if old.get(name) != now.get(name)]
    # The one that counts stands beside the one that was set, which says the same.
    changed = [n for n in changed if n != "exported" or "threshold" not in changed]
    return [_told(name, old.get(name), now.get(name)) for name in changed]


def check_same(folder: Any, before: Any, made: Mapping[str, Any], count: int) -> None:
    """Raises UserError where finished photos would be lost to other settings.

    Args:
        folder: where the export lies.
        before: what its note began with.
        made: what `made_by` gives now.
        count: how many photos are finished there.
    """
    found = differences(before, made)
    if found and count:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise UserError(
            f"{folder} holds {count} finished photos, and their masks were made with "
            f"{'; '.join(found[:_MOST])}{more}: choose another folder, or --anew "
            "predicts them again"
        )


def said_of_commits(commits: Sequence[str]) -> str:
    """A line about photos that another commit finished; "" where none did."""
    now = str(provenance.commit())
    others = [commit for commit in commits if commit != now]
    if not others:
        return ""
    return (
        f"some were finished at commit {', '.join(others)} of the program, which is at "
        f"{now} now: if that changes masks, --anew predicts them again"
    )


def _flat(made: Mapping[str, Any]) -> dict[str, Any]:
    parts = made.get("settings"), made.get("method")
    found = {k: v for k, v in made.items() if k not in ("settings", "method")}
    for part in parts:
        found |= part if isinstance(part, dict) else {}
    return found


def _told(name: str, old: Any, now: Any) -> str:
    shown = [_shown(value) for value in (old, now)]
    if name in _WORDS or len(max(shown, key=len)) > _LONGEST:
        return _WORDS.get(name, f"other {name}")
    return f"{name} {shown[0]}, now {shown[1]}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_shown, value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of_weights(run: Run) -> str:
    found = hashlib.sha256()
    leaves = jax.tree_util.tree_leaves_with_path((run.params, run.model_state))
    for path, leaf in leaves:
        array = np.asarray(leaf)
        found.update(f"{path} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
