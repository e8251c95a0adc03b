"""Evaluation of few-shot methods: published protocols as named settings.

    panet    PASCAL-5i and contiguous COCO-20i, on the training photos (train_aug)
    pfenet   PFENet, ASGNet, BAM: on val; photos padded, scored at their own size
    mlc      MLC, SSP: on val; photos at their own size
    hsnet    HSNet: on val; every pair of photo and class in turn
    own      ours: classes in turn as in panet, scored at the photos' own size

Their scores cannot be compared with each other: the protocol alone moves mean IoU by
several points. Every result names its protocol, split, size, episodes and seeds.
"""

import dataclasses
from typing import Annotated, Literal, NamedTuple

from ppcjax.data_pipelines.episodes.examples import FITS, SCORES
from ppcjax.data_pipelines.episodes.marks import MARKS
from ppcjax.data_pipelines.episodes.plans import SAMPLINGS
from ppcjax.fields import Length, OneOf, Range, kinds
from ppcjax.predict.queries import QueryPrediction


class Protocol(NamedTuple):
    """What scores depend on beside the network.

    sampling: how class and photos are drawn, see `episodes.plans.draw_row`.
    episodes: number of episodes of a seed.
    seeds: one for each repetition.
    fit: how photos are brought to the network, see `episodes.examples.make_eval`.
    size: side in pixels at which the network sees photos.
    score: size at which queries are scored, "input" or "original".
    min_pixels: fewest pixels of a class in a photo that is drawn for it.
    absent: how a class counts that the truth does not show, see
        `ppcjax.evaluate.episodes.metric.count_query`.
    """

    sampling: str
    episodes: int
    seeds: tuple[int, ...]
    fit: str
    size: int
    score: str
    min_pixels: int
    absent: str = "skip"


PROTOCOLS = {
    "panet": Protocol(
        "class", 1000, tuple(range(1234, 1239)), "squash", 417, "input", 1
    ),
    "pfenet": Protocol("image", 1001, (321,), "pad", 473, "original", 2048, "count"),
    "mlc": Protocol(
        "image", 1000, tuple(range(5)), "keep", 473, "original", 2048, "count"
    ),
    "hsnet": Protocol("pairs", 1000, (0,), "squash", 400, "input", 1, "count"),
    "own": Protocol("class", 1000, tuple(range(5)), "pad", 417, "original", 1),
}


_Count = kinds.Few


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeSettings:
    """Settings of the evaluation of few-shot methods on episodes.

    protocol: published protocol; the next eight settings replace parts of it.
    sampling: how an episode's class and photos are drawn; empty: the protocol's.
    episodes: number of episodes of a seed; 0: the protocol's.
    seeds: one for each repetition; empty: the protocol's.
    fit: how photos are brought to the network; empty: the protocol's.
    size: side at which the network sees photos; 0: the protocol's.
    score: size at which queries are scored; empty: the protocol's.
    min_pixels: fewest pixels of a class in a photo drawn for it; -1: the protocol's.
    absent: how a class counts that the truth does not show; empty: the protocol's.
    way: classes of an episode.
    shots: numbers of supports that are evaluated, one after the other.
    query: queries of an episode.
    marks: what the supports are marked with, "masks", or what stands in their place
        and is made of them: "scribbles", a stroke through the class and one through
        its background, or "boxes" around the connected pieces of the class.
    classes: those that episodes are of: held out ("novel"), held out for the choice of
        checkpoints ("validation"), or all others ("base").
    choice_episodes: episodes on which a checkpoint is chosen; 0: the newest counts.
    plans: folder of episode plans to use; those that are missing are drawn and written
        there. Empty: all are drawn, and written beside the results.
    gallery: queries drawn as pictures, for each number of shots.
    """

    protocol: Annotated[str, OneOf(PROTOCOLS)] = "own"
    sampling: Annotated[str, OneOf(("", *SAMPLINGS))] = ""
    episodes: Annotated[int, Range(0, 10**6)] = 0
    seeds: tuple[kinds.Seed, ...] = ()
    fit: Annotated[str, OneOf(("", *FITS))] = ""
    size: Annotated[int, Range(0, kinds.LONGEST_SIDE), "pixels"] = 0
    score: Annotated[str, OneOf(("", *SCORES))] = ""
    min_pixels: Annotated[int, Range(-1, kinds.MOST), "pixels"] = -1
    absent: Literal["", "skip", "count"] = ""
    way: _Count = 1
    shots: Annotated[tuple[_Count, ...], Length(1)] = (1, 5)
    query: _Count = 1
    marks: Annotated[str, OneOf(MARKS)] = "masks"
    classes: Literal["novel", "validation", "base"] = "novel"
    choice_episodes: Annotated[int, Range(0, 10**6)] = 50
    plans: str = ""
    gallery: Annotated[kinds.Gallery, "queries"] = 12
    prediction: QueryPrediction = QueryPrediction()

    def resolved(self) -> Protocol:
        """The protocol with the parts that were replaced."""
        named = PROTOCOLS[self.protocol]
        given = {name: getattr(self, name) for name in named._fields}
        return named._replace(
            **{name: value for name, value in given.items() if value not in _KEPT}
        )


_KEPT = ("", 0, -1, ())  # what leaves a part of the protocol as it is
