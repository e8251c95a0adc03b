"""The photos of an evaluation that ends in masks."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax import data_pipelines
from ppcjax.data_pipelines.formats import WRITERS
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part, take
from ppcjax.evaluate.masks import files, makers, started
from ppcjax.evaluate.masks.started import Started
from ppcjax.evaluate.protocol import Request, announce
from ppcjax.predict.prediction import Finished, Prediction
from ppcjax.runs import Run
from ppcjax.runs.names import check_all
from ppcjax.types import UserError


class Photos(NamedTuple):
    """The photos of an evaluation.

    data: config.data as requested.
    source: photos, with masks where they are known.
    split: name of them.
    account: what was read, see `announce`.
    out: folder that the results are written to; None where none are.
    started: the export that they are written to, once it has begun.
    stays: whether that export goes on where there are more photos later.
    anew: whether photos that something else finished are predicted again.
    """

    data: dict[str, Any]
    source: Source
    split: str
    account: Mapping[str, Any] = {}
    out: Path | None = None
    started: Started | None = None
    stays: bool = False
    anew: bool = False

    @classmethod
    def of(cls, run: Run, request: Request) -> "Photos":
        """A split of the run's data, or photos from elsewhere."""
        data = request.data(run)
        split = request.split_of(data)
        out = None if request.trial else request.out(run, split)
        if request.elsewhere:
            labels = not request.photos
            source = photos(request.elsewhere, run.classes, labels=labels)
            check_apart(out, source)
            data = {"on_bad_image": data["on_bad_image"]}
        else:
            source = data_pipelines.make_source(
                data, split, classes=run.classes, evaluation=True, lists=run.lists
            )
        source = part(source, request.limit)
        if out is not None:
            check_all(out, (f"masks/{name}.png" for name in source.ids))
        account = announce(source, data, request)
        how = {"stays": bool(request.photos), "anew": request.anew}
        return cls(data, source, split, account, out, **how)

    def going_on(self, run: Run, settings: Any, **more: Any) -> "Photos":
        """The same, of which those that an interrupted export has are not made again.

        Args:
            run: network that predicts.
            settings: those of the evaluation, whose report shows photos anyway.
            **more: what else decides the files; JSON types or bytes.
        """
        if self.out is None:
            return self
        shown = evenly_spaced(self.source.ids, settings.output.gallery)
        made_by = makers.made_by(run, settings, **more)
        how = {"stays": self.stays, "anew": self.anew}
        begun = started.begin(self.out, made_by, self.source, shown, **how)
        return self._replace(started=begun)

    @property
    def finished(self) -> Mapping[str, tuple[int, int]]:
        """Rows and columns of the photos that are not made again, by id."""
        return self.started.finished if self.started else {}

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """What is told of the photos that are not made again, by id."""
        return self.started.rows if self.started else {}

    def note(
        self, prediction: Prediction, written: Sequence[Path], row: Mapping[str, Any]
    ) -> None:
        """Notes that the files of a photo are written, and what is told of it."""
        if self.started is not None:
            self.started.note(prediction, written, row)

    def complete(self) -> None:
        """Notes that all files are written."""
        if self.started is not None:
            self.started.complete()

    def examples(self) -> Iterator[Any]:
        """Each photo once; in the place of a finished one `Finished`."""
        if not self.finished:
            return data_pipelines.make_eval(self.data, self.source)
        return self._with_finished()

    def _with_finished(self) -> Iterator[Any]:
        ids = self.source.ids
        for kept, places in itertools.groupby(
            range(len(ids)), key=lambda index: ids[index] in self.finished
        ):
            if kept:
                for index in places:
                    yield Finished.of(ids[index], self.finished[ids[index]])
            else:
                left = take(self.source, list(places))
                yield from data_pipelines.make_eval(self.data, left)


def check_apart(out: Path, source: Source) -> None:
    """Raises UserError where results would be written over the photos.

    Args:
        out: folder of the results.
        source: the photos.
    """
    real = os.path.realpath(out)
    written = {os.path.join(real, name) for name in (*files.FOLDERS, *WRITERS)}
    parents = {os.path.dirname(file) for file in source.files.values()}
    for parent in map(os.path.realpath, parents):
        if any(os.path.join(parent, "").startswith(f"{w}{os.sep}") for w in written):
            raise UserError(
                f"{out}: results would be written over the photos in {parent}; choose "
                "another folder"
            )
