"""The one reader of what a run folder holds beside its arrays.

A run may come from anybody. Its notes are read as data: no more bytes than such a note
needs, types and ranges compared, nothing evaluated, and nothing opened that they name.
"""

import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from ppcjax import fields
from ppcjax.fields import Name, Range
from ppcjax.fields.values import LARGEST_INT, LONGEST_TEXT
from ppcjax.runs.messages import first_line
from ppcjax.types import UserError

LARGEST = 16 << 20  # bytes of a note
LONGEST_LINE = 1 << 20  # of a note that grows by lines, such as metrics.jsonl
MOST_CLASSES = 255  # with the background: masks have 8 bits, and 255 is void
_DEEPEST = 64  # levels of a note
_MORE = 1 << 16  # bytes that are read at a time

_REMOVE = "remove it, and what it notes is found out again"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_Step = Annotated[int, Range(0)]
_Side = Annotated[int, Range(1, 1 << 14)]
# Types of the settings that are read beside those that a method or an evaluation
# declares and checks itself.
_CONFIG: dict[str, Any] = {
    "name": Annotated[str, Name()],
    "seed": Annotated[int, Range(0)],
    "steps": Annotated[int, Range(0)],
    "init_from": str | None,
    "keep_best": bool,
    "method.name": str,
    "data.crop": _Side | tuple[_Side, _Side],
    "data.batch_size": Annotated[int, Range(1)],
    "data.train_split": str | None,
    "data.val_split": str | None,
    "data.eval_split": str | None,
}


def read_bytes(path: Path, limit: int = LARGEST) -> bytes:
    """The bytes of a plain file.

    Args:
        path: the file.
        limit: largest number of bytes.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
        ValueError: it is no plain file, or larger.
    """
    with _opened(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"more than {limit >> 20} MiB, which no such file needs")
    return content


def _opened(path: Path):
    """A plain file, opened without waiting for whoever writes to a pipe."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError("no plain file")
    return open(number, "rb")


def parse(content: bytes | str, *, finite: bool = False) -> Any:
    """JSON, as Python has it.

    Args:
        content: text, or its bytes.
        finite: whether NaN and infinite numbers are refused.

    Raises:
        ValueError: it is none, or nests deeper than any note.
    """
    if isinstance(content, bytes):
        content = content.decode("utf-8")
    try:
        found = json.loads(content, parse_constant=_refused if finite else None)
        deep = _is_deep(found)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"it nests deeper than {_DEEPEST} levels")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"it holds {name}")


def _is_deep(found: Any) -> bool:
    level = [found]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def read_json(path: Path, advice: str = _REMOVE) -> dict[str, Any]:
    """What a JSON file notes; {} where it is not there.

    Args:
        path: the file.
        advice: what to do where it is damaged.

    Raises:
        UserError: it is damaged, or holds something else than names and values.
    """
    try:
        found = parse(read_bytes(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}); {advice}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no names and values; {advice}")
    return found


def lines(path: Path, *, finite: bool = False) -> Iterator[Any]:
    """What each line of a file of JSON lines holds.

    Yields:
        None for a line that holds none, such as the last one of a process that was
        killed, or one that is longer than any; nothing where there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = _opened(path)
    except (FileNotFoundError, ValueError):
        return
    with file:
        while line := file.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (more := file.readline(_MORE)) and not more.endswith(b"\n"):
                    pass
                yield None
                continue
            try:
                yield parse(line, finite=finite)
            except ValueError:
                yield None


def meta_of(step: Path) -> dict[str, Any]:
    """The meta of a checkpoint, a mapping.

    It holds "step", "config", "classes" and "versions"; where training saved it, also
    "scores" and "window" (see `ppcjax.train.watch` and `ppcjax.train.log.Meter`).

    Args:
        step: RUN/checkpoints/STEP.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none of ours.
    """
    try:
        found = parse(read_bytes(step / "meta" / "metadata"))
        if not isinstance(found, dict):
            raise ValueError("it holds no names and values")
        if not isinstance(found.get("config"), dict):
            raise ValueError("it holds no config")
        if found.get("classes") != []:  # of data without any
            check_classes(found.get("classes"))
        fields.check(_Step, found.get("step", 0), "step")
        scores = found.get("scores") or {}
        if not isinstance(scores, dict) or not all(map(_is_score, scores.items())):
            raise ValueError("its scores are no numbers")
        if found.get("window") and not _is_window(found["window"]):
            raise ValueError("its sums of losses are no numbers")
    except (UserError, ValueError) as error:
        raise ValueError(f"its meta/metadata is damaged: {error}") from error
    return found


def is_step(value: Any) -> bool:
    """Whether a value counts updates."""
    return type(value) is int and 0 <= value <= LARGEST_INT


def is_number(value: Any) -> bool:
    """Whether a value is a number that a float can be, NaN and infinite ones too."""
    return type(value) is float or (type(value) is int and abs(value) < 1 << 1000)


def _is_score(pair: tuple[str, Any]) -> bool:
    step, found = pair
    if not isinstance(found, dict) or not re.fullmatch(r"\d{1,18}", step):
        return False
    return bool(found) and all(v is None or is_number(v) for v in found.values())


def _is_window(found: Any) -> bool:
    if not isinstance(found, dict) or not is_step(found.get("steps")):
        return False
    sums = found.get("sums")
    return isinstance(sums, dict) and all(
        is_number(total) and math.isfinite(total) for total in sums.values()
    )


def check_classes(found: Any) -> None:
    """Raises ValueError for what are no names of classes."""
    if not isinstance(found, list | tuple) or not found:
        raise ValueError("it holds no list of classes")
    if len(found) > MOST_CLASSES:
        raise ValueError(
            f"it names {len(found)} classes, where masks tell {MOST_CLASSES} apart"
        )
    for name in found:
        if not isinstance(name, str) or _CONTROL.search(name[:LONGEST_TEXT]):
            raise ValueError(f"its class {name!r:.60} is no name")
        if len(name) > LONGEST_TEXT:
            raise ValueError(f"it names a class by {len(name)} letters")


class Settings(dict):
    """A config, or a part of it; whatever it lacks is a mistake of the user's file."""

    def __init__(self, values: Mapping[str, Any], where: str):
        """The same values; `where` is the path of the part, for messages."""
        super().__init__(values)
        self.where = where

    def __missing__(self, name: str) -> Any:
        raise UserError(f"{self.where}.{name} is missing, so that this cannot be done")

    def __copy__(self) -> "Settings":
        return Settings(self, self.where)


def config_of(found: Any, where: str) -> Settings:
    """A config as a run needs it, with the parts that everything reads.

    Args:
        found: what a file holds.
        where: the file, for messages.

    Raises:
        UserError: a part is missing or no such thing.
    """
    if not isinstance(found, dict):
        raise UserError(f"{where} holds no config of a run")
    # From Python a run may be trained on batches of any origin: it names no data, and
    # itself by its folder.
    parts = {"data": {}, "eval": {}, **found}
    for name in ("method", "data", "eval"):
        if not isinstance(parts.get(name), dict):
            raise UserError(f"{where}: config.{name} is missing, or holds no settings")
    for path, hint in _CONFIG.items():
        part, _, name = path.rpartition(".")
        values = parts[part] if part else parts
        if name in values:
            fields.check(hint, values[name], f"{where}: config.{path}")
    if "name" not in parts["method"]:
        raise UserError(f"{where}: config.method has no name")
    data = Settings(parts["data"], f"{where}: config.data")
    return Settings({**found, "data": data}, f"{where}: config")
