"""An export that was interrupted: which photos are finished, and kept.

OUT/started.jsonl says in its first line what made the export, and then, a line each,
which photos without a mask are finished: the line is written after their files. It is
removed when all is there. Photos that are compared with masks are predicted again, as
their counts are nowhere but in the sum.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax import fields
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.fields import Free
from ppcjax.predict.prediction import Prediction
from ppcjax.runs import Run, provenance
from ppcjax.runs.files import write_file
from ppcjax.types import UserError

NAME = "started.jsonl"


class Started(NamedTuple):
    """An export that has begun.

    folder: where it lies.
    head: what made it.
    source: its photos.
    finished: rows and columns, as predicted, of the photos that are finished.
    """

    folder: Path
    head: Mapping[str, Any]
    source: Source
    finished: Mapping[str, tuple[int, int]]

    def note(self, prediction: Prediction, written: Sequence[Path]) -> None:
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
        }
        if not (self.folder / NAME).exists():
            _write(self.folder, [self.head])
        with (self.folder / NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def complete(self) -> None:
        """Removes the note: all is there."""
        (self.folder / NAME).unlink(missing_ok=True)


def begin(
    folder: Path, made_by: Mapping[str, Any], source: Source, again: Sequence[str]
) -> Started:
    """Finds what is finished of an export, and says it.

    Args:
        folder: where the export lies, or is to lie.
        made_by: what decides its files; JSON types.
        source: its photos.
        again: ids that are predicted whether they are finished or not.
    """
    head = {
        "made_by": _digest(json.dumps(made_by, sort_keys=True, default=str).encode())
    }
    lines = _read(folder / NAME)
    if lines and lines[0] != head:
        print(
            f"{folder} was begun by another run, program or setting: all photos are "
            "predicted anew"
        )
        (folder / NAME).unlink()
        lines = []
    found = {line["id"]: line for line in lines[1:] if _is_line(line)}
    places = {name: index for index, name in enumerate(source.ids)}
    kept = {
        name: line
        for name, line in found.items()
        if name in places and _is_finished(folder, source, places[name], line)
    }
    if lines:
        _write(folder, [head, *kept.values()])  # without the half of a last line
    if kept:
        print(f"{len(kept)} of {len(source)} photos are finished and kept", flush=True)
    finished = {
        name: tuple(line["size"]) for name, line in kept.items() if name not in again
    }
    return Started(folder, head, source, finished)


def made_by(run: Run, settings: Any, **more: Any) -> dict[str, Any]:
    """What decides the files of an export, as JSON types.

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
    return {
        "run": str(run.folder),
        "step": run.step,
        "classes": list(run.classes),
        "method": run.config["method"],
        "weights": _digest_of_weights(run),
        "commit": provenance.commit(),
        "settings": json.loads(json.dumps(values, default=str)),
    } | {k: _digest(v) if isinstance(v, bytes) else v for k, v in more.items()}


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
    return [str(photo), *_state(photo), shown]


def _state(file: Path) -> list[int]:
    """Changes when a file is written anew."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _is_line(line: Any) -> bool:
    return isinstance(line, dict) and {"id", "size", "photo", "files"} <= set(line)


def _read(file: Path) -> list[Any]:
    """The whole lines of a note; none where it is not there or holds something else."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    lines = []
    for text in content.splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            lines.append(None)  # half a line, from a process that was killed
    return lines


def _write(folder: Path, lines: Sequence[Any]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_file(folder / NAME, text.encode())


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
