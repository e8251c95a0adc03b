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
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ppcjax.data_pipelines.episodes.plans import SAMPLINGS
from ppcjax.types import UserError


class Protocol(NamedTuple):
    """What scores depend on beside the model.

    sampling: see episode_plans.draw_row.
    episodes: of a run.
    seeds: one per run.
    fit, size, score: see episode_examples.make_eval.
    min_pixels: fewest pixels of a class in a photo that is drawn for it.
    absent: see episode_metric.count_query.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeEvaluation:
    """The settings of config.eval for few-shot methods.

    protocol: a key of PROTOCOLS; the next eight fields replace parts of it.
    way: classes of an episode.
    shots: numbers of supports that are evaluated, one after the other.
    query: queries of an episode.
    classes: "novel" (held out), "validation" (held out for the choice of checkpoints)
        or "base" (all others).
    choice_episodes: on which a checkpoint is chosen, see `episode_choice`; 0: the
        newest counts.
    align_corners: convention in which logits are resized to the photo.
    batch_size: episodes predicted at a time.
    gallery: episodes drawn as pictures.
    """

    protocol: str = "own"
    sampling: str = ""
    episodes: int = 0
    seeds: Sequence[int] = ()
    fit: str = ""
    size: int = 0
    score: str = ""
    min_pixels: int = -1
    absent: str = ""
    way: int = 1
    shots: Sequence[int] = (1, 5)
    query: int = 1
    classes: str = "novel"
    choice_episodes: int = 50
    align_corners: bool = False
    batch_size: int = 4
    gallery: int = 12

    def __post_init__(self):
        """Raises UserError naming the setting that is wrong."""
        for name, choices in (
            ("protocol", tuple(PROTOCOLS)),
            ("classes", ("novel", "validation", "base")),
            ("absent", ("", "skip", "count")),
            ("sampling", ("", *SAMPLINGS)),
        ):
            if getattr(self, name) not in choices:
                known = ", ".join(filter(None, choices))
                raise UserError(f"config.eval.{name}: choose one of {known}")
        if min(self.way, self.query, self.batch_size, *self.shots) < 1:
            raise UserError(
                "config.eval: way, shots, query and batch_size must be 1 or more"
            )

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "EpisodeEvaluation":
        """From config.eval; raises UserError for an unknown field."""
        unknown = set(settings) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(
                f"config.eval.{min(unknown)} is not a setting of episode evaluation"
            )
        return cls(**settings)

    def resolved(self) -> Protocol:
        """The protocol with the parts that were replaced."""
        named = PROTOCOLS[self.protocol]
        given = {
            name: getattr(self, name)
            for name in named._fields
            if getattr(self, name) not in ("", 0, -1)
            and len(np.atleast_1d(getattr(self, name)))
        }
        if "seeds" in given:
            given["seeds"] = tuple(given["seeds"])
        return named._replace(**given)
