"""The list of what was written into a folder: FOLDER/.ppcjax.jsonl.

A line for the kind of the folder, then [name, bytes, digest] of each file.
"""

import hashlib
import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from ppcjax.console.writing import Appending, write_file
from ppcjax.runs import checked
from ppcjax.runs.there import LIST
from ppcjax.types import UserError

_FORMAT = 1
# Size in bytes and digest of what a file held when it was written.
State = tuple[int, str]


def state_of(content: bytes) -> State:
    """What is listed of a file with this content."""
    return len(content), hashlib.sha256(content).hexdigest()[:32]


def read(folder: Path) -> tuple[str, dict[str, set[State]]] | None:
    """Kind and files that the list of a folder names.

    None where there is none, or one so damaged that the folder is looked at as if.
    """
    file = folder / LIST
    try:
        content = file.read_bytes() if file.is_file() else None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    if content is None:
        return None
    lines = [_parsed(text) for text in content.splitlines()]
    head = lines[0] if lines else None
    if not isinstance(head, dict) or "ppcjax" not in head:
        return None
    found: dict[str, set[State]] = {}
    for line in lines[1:]:
        if isinstance(line, list) and [*map(type, line)] == [str, int, str]:
            found.setdefault(line[0], set()).add((line[1], line[2]))
    return str(head.get("kind")), found


def written_at(folder: Path) -> int:
    """When the list of a folder was written last, ns; 0 where there is none."""
    try:
        return (folder / LIST).stat().st_mtime_ns
    except OSError:
        return 0


def _parsed(text: bytes) -> Any:
    try:
        return checked.parse(text)
    except ValueError:
        return None  # half a line, from a process that was killed


def write(folder: Path, kind: str, listed: Mapping[str, Set[State]]) -> None:
    """Writes a list in order; of a file that is being replaced it has both states."""
    lines = [
        _line(name, state)
        for name, states in sorted(listed.items())
        for state in sorted(states)
    ]
    head = json.dumps({"ppcjax": _FORMAT, "kind": kind}) + "\n"
    write_file(folder / LIST, (head + "".join(lines)).encode())


def add(folder: Path, name: str, state: State) -> None:
    """Adds a line to the list of a folder."""
    file = Appending(folder / LIST)
    try:
        # Behind a line feed, as a killed process may have left half a line.
        file.write(f"\n{_line(name, state)}".encode())
    finally:
        file.close()


def join(path: Path, content: bytes) -> None:
    """Adds a single file to the list of the folder of ours that it lies in, if any."""
    for parent in path.parents:
        if (parent / LIST).is_file():
            add(parent, path.relative_to(parent).as_posix(), state_of(content))
            return


def _line(name: str, state: State) -> str:
    return json.dumps([name, *state]) + "\n"
