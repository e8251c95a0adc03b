"""An export that was interrupted: which photos are finished, and kept.

OUT/finished.jsonl says in its first line what makes the export, and then, a line each,
which photos without a mask are finished: the line is written after their files. It is
removed when all is there, but for `predict`, which goes on when there are more photos.
Photos that are compared with masks are predicted again, as their counts are nowhere but
in the sum.
"""

import contextlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from ppcjax import fields
from ppcjax.console.writing import Appending
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import EXPORT_NOTE
from ppcjax.evaluate.masks import makers
from ppcjax.fields import Range
from ppcjax.predict.prediction import Prediction
from ppcjax.runs import checked
from ppcjax.runs.files import cannot_write, remove_file, write_file
from ppcjax.types import IGNORE, UserError

NAME = EXPORT_NOTE

_Count = Annotated[int, Range(0)]
_Size = tuple[Annotated[int, Range(1)], Annotated[int, Range(1)]]
_Share = Annotated[float, Range(0, most=1)] | None
# What a line holds, and its row, as `rows.row` makes it.
_LINE: dict[str, Any] = {"id": str, "size": _Size}
_ROW: dict[str, Any] = {
    **{"id": str, "size": _Size, "photo_size": _Size, "areas": dict[str, Any]},
    **{"uncertainty": _Share, "iou": _Share},
}


class Started(NamedTuple):
    """An export that has begun.

    folder: where it lies.
    head: what made it, see `makers.head`.
    source: its photos.
    finished: rows and columns, as predicted, of the photos that are finished.
    rows: what is told of them, see `rows.row`.
    stays: whether the note stays when all is there, so that a later call goes on.
    """

    folder: Path
    head: Mapping[str, Any]
    source: Source
    finished: Mapping[str, tuple[int, int]]
    rows: Mapping[str, Mapping[str, Any]]
    stays: bool = False

    def note(
        self, prediction: Prediction, written: Sequence[Path], row: Mapping[str, Any]
    ) -> None:
        """Notes that the files of a photo are written, if it can be kept."""
        example = prediction.example
        if example.mask is not None or example.id not in self.source.files:
            return
        line = {
            "id": example.id,
            "size": list(example.image.shape[:2]),
            "photo": _stamp(self.source.files[example.id], example.tags),
            "files": {
                file.relative_to(self.folder).as_posix(): _state(file)
                for file in written
            },
            "row": dict(row),
        }
        with contextlib.closing(Appending(self.folder / NAME)) as file:
            file.write(f"{json.dumps(line)}\n".encode())

    def complete(self) -> None:
        """Removes the note, unless it stays: all is there."""
        if not self.stays:
            remove_file(self.folder / NAME)


def begin(
    folder: Path,
    made_by: Mapping[str, Any],
    source: Source,
    again: Collection[str],
    *,
    stays: bool = False,
    anew: bool = False,
) -> Started:
    """Finds what is finished of an export, and says it.

    Args:
        folder: where the export lies, or is to lie.
        made_by: what decides its files; JSON types.
        source: its photos.
        again: ids that are predicted whether they are finished or not.
        stays: whether the note stays when all is there.
        anew: whether photos that are finished are predicted again.

    Raises:
        UserError: something else made the photos that are finished, or a photo of
            another place has the files that one of these would get.
    """
    before, *lines = _read(folder / NAME) or [None]
    found = {line["id"]: line for line in lines if _is_line(line)}
    if anew and found:
        print(f"finished before and predicted again: {len(found)} photos")
    if anew or not found:
        before, found = None, {}
    makers.check_same(folder, before, made_by, len(found))
    head = makers.head(made_by, before)
    places = {name: index for index, name in enumerate(source.ids)}
    here = {name: line for name, line in found.items() if name in places}
    for name, line in here.items():
        _check_place(folder, line, source.files.get(name))
    kept = {
        name: line
        for name, line in here.items()
        if _is_finished(folder, source, places[name], line)
    }
    others = {name: line for name, line in found.items() if name not in places}
    _say(folder, len(source), len(kept), len(here) - len(kept), len(others))
    if kept and (words := makers.said_of_commits(makers.commits_of(before))):
        print(words, flush=True)
    # Without the half of a last line. Those of photos that are not here stay: a later
    # call may name them again.
    _write(folder, [head, *others.values(), *kept.values()])
    shown = frozenset(again)
    left = {name: line for name, line in kept.items() if name not in shown}
    return Started(
        folder,
        head,
        source,
        {name: tuple(line["size"]) for name, line in left.items()},
        {name: line["row"] for name, line in left.items()},
        stays,
    )


def _check_place(folder: Path, line: Mapping[str, Any], photo: Path | None) -> None:
    """Raises UserError where the files of a photo are those of another one."""
    before = line["photo"][0]
    if photo is None or before == os.path.abspath(photo):
        return
    if os.path.exists(before) and not os.path.samefile(before, photo):
        raise UserError(
            f"{photo}: its mask would take the place of that of {before}, which is in "
            f"{folder}; choose another folder"
        )


def _say(folder: Path, total: int, kept: int, changed: int, others: int) -> None:
    """Says what became of the photos that were finished."""
    if kept:
        print(f"{kept} of {total} photos are finished and kept")
    if changed:
        print(f"changed since they were finished, so predicted anew: {changed}")
    if others:
        print(
            f"finished before and not among these photos: {others}; their files stay "
            f"in {folder}, and no table lists them"
        )
    sys.stdout.flush()


def _is_finished(
    folder: Path, source: Source, index: int, line: Mapping[str, Any]
) -> bool:
    """Whether a photo and all its files are what they were."""
    name = source.ids[index]
    try:
        record = source.record(index)
        if record.mask() is not None:
            return False
        if _stamp(source.files[name], record.tags()) != line["photo"]:
            return False
        now = {file: _state(folder / file) for file in line["files"]}
    except (OSError, KeyError, UserError):
        return False  # predicting says what is wrong
    return now == line["files"]


def _stamp(photo: Path, tags: np.ndarray | None) -> list[Any]:
    """What tells whether a photo or its tags have changed, as JSON types."""
    shown = None if tags is None else np.flatnonzero(tags).tolist()
    return [os.path.abspath(photo), *_state(photo), shown]


def _state(file: Path) -> list[int]:
    """Changes when a file is written anew."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _is_line(line: Any) -> bool:
    """Whether a line holds what `note` writes, and of the same types."""
    if not isinstance(line, dict):
        return False
    row = line.get("row")
    kinds = {"photo": list, "files": dict, "row": dict}
    if any(not isinstance(line.get(name), kind) for name, kind in kinds.items()):
        return False
    try:
        for hints, found in ((_LINE, line), (_ROW, row)):
            for name, hint in hints.items():
                fields.check(hint, found[name], name)
        for count in row["areas"].values():
            fields.check(_Count, count, "areas")
        there = all(0 <= int(c) <= IGNORE for c in row["areas"]) and bool(line["photo"])
    except (KeyError, ValueError, UserError):
        return False
    return there and isinstance(line["photo"][0], str) and "\0" not in line["photo"][0]


def _read(file: Path) -> list[Any]:
    """The whole lines of a note; none where it is not there or holds something else."""
    try:
        return list(checked.lines(file))
    except OSError as error:
        raise cannot_write(file, error) from error


def _write(folder: Path, lines: Sequence[Any]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_file(folder / NAME, text.encode())
