"""Where the checkpoints of a run lie, and which run they are of."""

import re
import secrets
import zlib
from pathlib import Path

from ppcjax.runs.files import write_file

FOLDER = "checkpoints"
BEST = "best"  # beside it: the checkpoint with the best score
RUN_ID = "run_id"  # of a run: which checkpoints are its own

_UNREADABLE = "unreadable"  # where steps lie that could not be restored
_STEP = re.compile(r"0|[1-9][0-9]{0,17}")


def found(directory: Path) -> list[int]:
    """Numbers of the steps in RUN/checkpoints or RUN/best, ascending."""
    if not directory.is_dir():
        return []
    names = (p.name for p in directory.iterdir() if is_name(p.name) and p.is_dir())
    return sorted(map(int, names))


def is_name(name: str) -> bool:
    """Whether a folder of that name can be a step."""
    return _STEP.fullmatch(name) is not None


def set_aside(directory: Path, step: int) -> Path:
    """Moves a step out of the way, beside those that were moved before.

    Args:
        directory: RUN/checkpoints or RUN/best.
        step: its number.

    Returns:
        Where it lies now.
    """
    target = directory / _UNREADABLE / str(step)
    target.parent.mkdir(exist_ok=True)
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{step}_{number}")
    return (directory / str(step)).rename(target)


def run_id(workdir: Path) -> str | None:
    """Identity of a run; None where it has none that can be read."""
    try:
        text = (workdir / RUN_ID).read_text("ascii")
    except (OSError, ValueError):
        return None
    identity, _, mark = text.strip().partition("-")
    return identity if text.strip() == _marked(identity) else None


def keep_run_id(workdir: Path, before: str | None) -> str:
    """Identity of a run that is trained, written to RUN/run_id where it's not there.

    Args:
        workdir: folder of the run.
        before: what its checkpoints say; None where there are none.
    """
    identity = run_id(workdir)
    if identity is None:
        identity = before or secrets.token_hex(16)
        write_file(workdir / RUN_ID, f"{_marked(identity)}\n".encode())
    return identity


def _marked(identity: str) -> str:
    return f"{identity}-{zlib.crc32(identity.encode()):08x}"
