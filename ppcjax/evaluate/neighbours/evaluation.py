"""Photos labelled by the patches of masked photos that look most alike.

Balazevic et al., "Towards In-Context Scene Understanding" (Hummingbird), NeurIPS 2023:
how good features are, without training anything on them.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from ppcjax.console import compiling
from ppcjax.evaluate.masks.evaluation import probabilities_plan
from ppcjax.evaluate.masks.photos import Photos
from ppcjax.evaluate.masks.settings import Output, Scoring
from ppcjax.evaluate.neighbours.cells import Describe, Grid, describer, grid_of
from ppcjax.evaluate.neighbours.memory import Memory, groups, photos_of, remember
from ppcjax.evaluate.protocol import Plan, Request
from ppcjax.fields import Free, Name, Range, kinds
from ppcjax.ops.neighbours import BLOCK, soft_labels
from ppcjax.ops.resize import bilinear_matrix
from ppcjax.predict import devices
from ppcjax.predict.prediction import Finished, Prediction
from ppcjax.report import page as pages
from ppcjax.report.html import render
from ppcjax.runs import Run
from ppcjax.types import UserError

_COSINES = 2**26  # that are held at a time: 256 MiB


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourSettings:
    """Settings of the evaluation of features by nearest neighbours.

    memory: largest number of patches that photos are compared with; of each remembered
        photo as many.
    memory_split: split whose masked photos are remembered; empty:
        config.data.train_split. Photos that are evaluated are left out.
    memory_photos: largest number of these photos, evenly spaced; 0: all.
    k: patches of the memory that say what a patch is.
    temperature: T of the softmax over their cosines.
    side: pixels of the square that photos are resized to, a multiple of a patch; 0: the
        largest up to 512.
    map: name of the network's map that is compared; empty: the backbone's.
    seed: number that decides which patches are remembered.
    batch_size: photos at a time.
    """

    memory: Annotated[int, Range(1, kinds.MOST), "patches"] = 102_400
    memory_split: Literal[""] | Annotated[str, Name()] = ""
    memory_photos: Annotated[kinds.Total, "photos"] = 0
    k: Annotated[kinds.Few, "patches"] = 30
    temperature: kinds.Temperature = 0.02
    side: Annotated[int, Range(0, kinds.LONGEST_SIDE), "pixels"] = 0
    map: Literal[""] | Annotated[str, Name()] = ""
    seed: kinds.Seed = 0
    batch_size: Annotated[kinds.Batch, "photos", Free()] = 8
    scoring: Scoring = Scoring()
    output: Output = Output()


class Clock:
    """Seconds that work took, without what compiling took."""

    def __init__(self):
        """At 0, of nothing."""
        self.seconds, self.photos = 0.0, 0

    def __enter__(self):
        """Starts."""
        self._begun = time.monotonic() - compiling.seconds()

    def __exit__(self, *_):
        """Stops."""
        now = time.monotonic() - compiling.seconds()
        self.seconds += max(now - self._begun, 0.0)


class Neighbours(NamedTuple):
    """What is evaluated.

    settings: settings of the evaluation.
    split: name of what is remembered.
    memory: what photos are compared with.
    grid: how photos are cut.
    describe: asks the network, see `cells.describer`.
    remembering: time that the memory took.
    searching: time that photos took.
    """

    settings: NeighbourSettings
    split: str
    memory: Memory
    grid: Grid
    describe: Describe
    remembering: Clock
    searching: Clock

    @classmethod
    def of(
        cls, run: Run, settings: NeighbourSettings, request: Request, queried: Any
    ) -> "Neighbours":
        """Makes the memory; `queried` are ids of the photos that are asked about."""
        data = request.data(run)
        split = settings.memory_split or data["train_split"]
        source = photos_of(run, data, split, settings.memory_photos, queried)
        grid = grid_of(run, settings.map, settings.side)
        describe = describer(run, grid, settings.batch_size)
        with (clock := Clock()):
            memory = remember(
                source,
                data,
                describe,
                grid,
                patches=settings.memory,
                batch_size=settings.batch_size,
                seed=settings.seed,
            )
        if len(memory.labels) < settings.k:
            raise UserError(
                f"--k={settings.k}: the memory holds {len(memory.labels)} patches; "
                "lower it, or remember more photos"
            )
        return cls(settings, split, memory, grid, describe, clock, Clock())

    def predictions(self, examples: Iterator[Any]) -> Iterator[Prediction]:
        """Probabilities of the classes at the size of each photo."""
        features, labels = devices.replicate(self.memory[:2])
        rows = devices.filled(self.settings.batch_size, self.settings.batch_size)
        cells = self.grid.cells
        held = max(_COSINES * devices.device_count() // (rows * cells**2), 1)
        labelled = devices.by_rows(
            partial(
                soft_labels,
                k=self.settings.k,
                temperature=self.settings.temperature,
                block=min(BLOCK, held),
            )
        )
        left = (e for e in examples if not isinstance(e, Finished))
        for group in groups(left, self.settings.batch_size):
            with self.searching:
                maps = self.describe(group)
                found = labelled(maps.reshape(-1, maps.shape[-1]), features, labels)
                low = np.asarray(found).reshape(rows, cells, cells, -1)
            self.searching.photos += len(group)
            for example, cell_labels in zip(group, low, strict=False):
                probabilities = enlarged(cell_labels, example.image.shape[:2])
                yield Prediction.of_probabilities(example, probabilities)

    def described(self) -> str:
        """What labels photos, in words."""
        count, photos = len(self.memory.labels), len(self.memory.ids)
        return (
            f"the {self.settings.k} nearest of {count:,} patches of {photos:,} photos "
            f"of {self.split}"
        )

    def results(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """What metrics.json says of the memory and of the time.

        Args:
            classes: names by class id.
        """
        holding = (self.memory.labels > 0).sum(0).tolist()
        searching = self.searching
        return {
            "split": self.split,
            "photos": len(self.memory.ids),
            "patches": len(self.memory.labels),
            "patches_with": dict(zip(classes, holding, strict=True)),
            "map": self.grid.map,
            "channels": self.memory.features.shape[1],
            "side": self.grid.side,
            "cells": self.grid.cells,
            "seconds": {
                "memory": round(self.remembering.seconds, 3),
                "photos": round(searching.seconds, 3),
            },
            "photos_per_second": round(searching.photos / searching.seconds, 3)
            if searching.photos
            else None,
        }


def enlarged(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map of cells [h, w, C] at the size (H, W) of a photo: [H, W, C] float32."""
    rows, columns = (
        bilinear_matrix(new, old, align_corners=False)
        for new, old in zip(size, cells.shape[:2], strict=True)
    )
    return np.matmul(columns, np.tensordot(rows, cells, 1))


def neighbours(
    run: Run, settings: NeighbourSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Photos labelled by the patches of a memory that look most alike."""
    del given
    of = Photos.of(run, request)
    queried = () if request.elsewhere else of.source.ids
    found = Neighbours.of(run, settings, request, queried)
    of = of.going_on(run, settings, remembered=found.memory.identity())
    plan = probabilities_plan(
        run,
        of,
        found.predictions(of.examples()),
        settings.scoring,
        settings.output,
        stages=found.described(),
        record={"remembered": {"split": found.split, "photos": len(found.memory.ids)}},
    )
    return with_memory(plan, found)


def with_memory(plan: Plan, found: Neighbours) -> Plan:
    """The plan whose metrics.json, text and report tell of the memory.

    Args:
        plan: a plan whose photos become masks.
        found: what they are compared with.
    """

    def summarize(counts):
        return {**plan.summarize(counts), "memory": found.results(plan.run.classes)}

    def text(metrics):
        speed = metrics["memory"]["photos_per_second"]
        lines = lines_of(metrics["memory"])
        seconds = metrics["memory"]["seconds"]["memory"]
        lines += [f"time: {seconds:.1f} s for the memory"]
        if speed:
            lines[-1] += f", then {speed:.3g} photos/s"
        return "\n".join([plan.text(metrics), "", *lines])

    def page(metrics, tiles):
        made = plan.page(metrics, tiles)
        content = render("lines.html", lines=lines_of(metrics["memory"]))
        section = pages.section("Memory", content)
        return made._replace(sections=[*made.sections, section])

    return plan._replace(summarize=summarize, text=text, page=page)


def lines_of(memory: Mapping[str, Any]) -> list[str]:
    """What a memory is, in lines.

    Args:
        memory: what metrics.json says of it.
    """
    cells, holding = memory["cells"], memory["patches_with"]
    shown = ", ".join(f"{name} {count:,}" for name, count in holding.items() if count)
    return [
        f"memory: {memory['patches']:,} patches of {memory['photos']:,} photos of "
        f"{memory['split']}",
        f"patches: {cells} x {cells} of a photo resized to {memory['side']} x "
        f"{memory['side']} pixels, described by {memory['channels']} channels of "
        f"{memory['map']}",
        f"patches that hold a class: {shown}",
    ]
