"""Scores of few-shot methods on the episodes of a protocol."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ppcjax import data_pipelines
from ppcjax.data_pipelines.episodes.arrays import Evidence
from ppcjax.data_pipelines.episodes.examples import EpisodeExample, make_eval
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.subset import part
from ppcjax.evaluate.episodes import choice as choices
from ppcjax.evaluate.episodes import page
from ppcjax.evaluate.episodes.metric import Counts, count_query, summarize
from ppcjax.evaluate.episodes.plans import (
    Possible,
    Repetition,
    are_named,
    describe_left_out,
    evaluated_classes,
    repetitions,
)
from ppcjax.evaluate.episodes.protocols import EpisodeSettings, Protocol
from ppcjax.evaluate.protocol import Plan, Request, announce, count_all
from ppcjax.predict.canvases import canvas_size
from ppcjax.predict.queries import predict_queries
from ppcjax.runs import Run
from ppcjax.runs.ours import Folder


class Tested(NamedTuple):
    """A query with what was found in it.

    shot: supports of each class in its episode.
    seed: seed of its repetition.
    number: place among the queries of this number of shots, from 1.
    example: the episode.
    query: place among the queries of the episode.
    found: [H, W] mask in 0..N.
    """

    shot: int
    seed: int
    number: int
    example: EpisodeExample
    query: int
    found: np.ndarray


class Episodes(NamedTuple):
    """What is evaluated.

    settings: settings of the evaluation.
    protocol: what they come to.
    source: photos with masks.
    chosen: ids of the classes that episodes are of.
    repeated: the episodes.
    possible: what they are made of, and what is left out for want of photos.
    evidence: how the masks of supports are read.
    account: what was read, see `announce`.
    """

    settings: EpisodeSettings
    protocol: Protocol
    source: Source
    chosen: Sequence[int]
    repeated: Sequence[Repetition]
    possible: Possible
    evidence: Evidence
    account: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        run: Run,
        settings: EpisodeSettings,
        request: Request,
        given: frozenset[str],
    ) -> "Episodes":
        """The episodes of a run's data; `given` as in `episodes`."""
        data = request.data(run)
        source = data_pipelines.make_source(
            data, request.split_of(data), classes=run.classes, lists=run.lists
        )
        source = part(source, request.limit)
        account = announce(source, data, request)
        chosen = evaluated_classes(data, settings.classes, source.classes)
        skip = data["on_bad_image"] == "skip"
        read = {k: data[k] for k in ("support_void", "other_ways") if k in data}
        repeated, possible = repetitions(
            settings,
            source,
            chosen,
            skip=skip,
            all_shots="shots" in given,
            all_classes=are_named(data, settings.classes),
        )
        return cls(
            dataclasses.replace(settings, shots=possible.shots),
            settings.resolved(),
            source,
            possible.index.classes,
            repeated,
            possible,
            Evidence(**read),
            account,
        )

    def tested(self, run: Run) -> Iterator[Tested]:
        """All queries, each with what a run finds in it."""
        numbers = dict.fromkeys(self.settings.shots, 0)
        for one in self.repeated:
            examples = make_eval(
                self.source,
                one.plan,
                one.shape,
                fit=self.protocol.fit,
                size=self.protocol.size,
                score=self.protocol.score,
                evidence=self.evidence,
                canvas=canvas_size,
                marks=self.settings.marks,
            )
            shot = one.shape.shot
            for found in predict_queries(run, examples, self.settings.prediction):
                numbers[shot] += 1
                yield Tested(shot, one.seed, numbers[shot], *found)

    def count(self, tested: Tested) -> dict[int, dict[int, Counts]]:
        """Pixels of one query, below its number of shots and its seed."""
        counts = count_query(
            tested.found,
            tested.example.truths[tested.query],
            tested.example.row.classes,
            len(self.source.classes),
            absent=self.protocol.absent,
        )
        return {tested.shot: {tested.seed: counts}}

    def results(
        self, counts: Mapping[int, Any], choice: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The protocol, the scores of each number of shots, the chosen checkpoint."""
        classes = self.source.classes
        described = {
            "name": self.settings.protocol,
            "split": self.source.name,
            "way": self.settings.way,
            "marks": self.settings.marks,
            "classes": [classes[c] for c in self.chosen],
        }
        return {
            "protocol": described | self.protocol._asdict(),
            "shots": {
                shot: summarize(list(seeds.values()), classes, self.chosen)
                for shot, seeds in counts.items()
            },
            "left_out": self.possible.left_out,
            "choice": choice,
        }

    def picture(self, tested: Tested) -> page.Picture | None:
        """A query of the gallery; None for one that is not drawn."""
        if tested.number > self.settings.gallery:
            return None
        return page.picture(tested, self.source.classes)

    def write(self, tested: Tested, folder: Folder) -> None:
        """Writes the picture of a query, where one is drawn."""
        drawn = self.picture(tested)
        if drawn is not None:
            name = f"{tested.shot}shot_{tested.seed}_{tested.number:03d}.jpg"
            folder.write(f"episodes/{name}", drawn.jpeg)


def episodes(
    run: Run, settings: EpisodeSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Episodes of a protocol, for each number of shots and each seed.

    Where a run has several checkpoints one is chosen first, see `choice`. Numbers of
    shots that are not `given` and for which there are too few photos are left out.
    """
    data = request.data(run)
    choice = None
    if not request.trial:
        run, choice = choices.chosen(run, settings, data, results_of)
    of = Episodes.of(run, settings, request, given)
    for line in () if request.trial else describe_left_out(of.possible):
        print(line)
    files = {f"plans/{one.file}": one.content() for one in of.repeated}
    return Plan(
        run=run,
        split=request.split_of(data),
        predictions=of.tested(run),
        total=sum(len(one.plan) * one.shape.query for one in of.repeated),
        unit="queries",
        count=of.count,
        summarize=partial(of.results, choice=choice),
        score=partial(scores, shot=of.settings.shots[0]),
        write=of.write,
        tile=of.picture,
        text=page.format_result,
        page=page.page,
        files={} if settings.plans else files,
        record={"choice": choice},
        skipped=of.source.skipped,
        account=of.account,
    )


def scores(results: Mapping[str, Any], *, shot: int) -> dict[str, float]:
    """Mean IoU at a number of shots."""
    return {"mean_iou": results["shots"][shot]["mean_iou"]["mean"]}


def check(
    settings: EpisodeSettings, data: Mapping[str, Any], classes: tuple[str, ...]
) -> None:
    """Raises UserError where there is no class to make episodes of."""
    evaluated_classes(data, settings.classes, classes)


def results_of(run: Run, settings: EpisodeSettings, split: str, data) -> dict[str, Any]:
    """Results of a run on a split, without files."""
    request = Request(split=split, root=data.get("root", ""), trial=True)
    plan = episodes(run, settings, request, frozenset())
    return plan.summarize(count_all(plan))
