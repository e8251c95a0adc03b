"""What config.eval may say of evaluations that end in masks."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from ppcjax.data_pipelines.formats import WRITERS
from ppcjax.fields import Free, OneOf, Range, kinds
from ppcjax.predict.none_of_these import NoneOfThese
from ppcjax.predict.prediction import Prediction
from ppcjax.predict.tta import Convention, Scaling
from ppcjax.predict.windows import WindowSettings
from ppcjax.refine import pixel_refine
from ppcjax.refine.crf import PRESETS
from ppcjax.refine.stream import Background
from ppcjax.refine.walk import WalkSettings
from ppcjax.types import UserError

_Alpha = Annotated[float, Range(above=0, most=1000)]
Turns = Annotated[int, Range(0, 1000), "turns"]
RefineScale = Annotated[float, Range(0.01, 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scoring:
    """How masks are made and scored.

    threshold: score above which a pixel is foreground; None: 0.26 for activation maps,
        0.5, the arg-max, for probabilities. Given as an option it counts for the masks,
        too, in place of the one that a validation split chooses.
    report_classes: names of the classes that the mean is taken over; empty: all.
    absent: whether a class that is neither in the masks nor predicted is left out of
        the mean ("skip") or counts as 0 ("zero").
    """

    threshold: Annotated[float, Range(0, below=1)] | None = None
    report_classes: tuple[str, ...] = ()
    absent: Literal["skip", "zero"] = "skip"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """What follows the network, and what is written.

    pixel_refine: how often scores are spread to near pixels of like colour, before the
        CRF; 10 as published; 0: never.
    pixel_refine_scale: factor of the photo's sides at which that is done; None: 1.
    crf: preset of the dense CRF on the masks; empty: none.
    workers: processes for the CRF; 0: none but this one.
    scores: whether score arrays are written, by far the largest files.
    gallery: photos in the report, evenly spaced over the split.
    export_format: formats in which the masks are written besides, each into a folder of
        its name, see docs/formats.md.
    """

    pixel_refine: Turns = 0
    pixel_refine_scale: RefineScale | None = None
    crf: Annotated[str, OneOf(("", *PRESETS))] = ""
    workers: Annotated[int, Range(0, 1024), "processes", Free()] = 0
    scores: bool = True
    gallery: Annotated[kinds.Gallery, "photos", Free()] = 24
    export_format: Annotated[
        tuple[Annotated[str, OneOf(tuple(WRITERS))], ...], Free()
    ] = ()

    def __post_init__(self):
        """Raises UserError for a scale at which nothing is done."""
        if self.pixel_refine_scale is not None and not self.pixel_refine:
            raise UserError(
                f"eval.pixel_refine_scale={self.pixel_refine_scale:g}: give "
                "pixel_refine, too, which it is for"
            )

    def before_crf(self, found: Iterable[Prediction]) -> Iterator[Prediction]:
        """Predictions as the CRF gets them, or masks where there is none."""
        if not self.pixel_refine:
            return iter(found)
        scale = self.pixel_refine_scale or 1.0
        return pixel_refine.refine_predictions(found, self.pixel_refine, scale=scale)

    def record(self) -> dict[str, int | float | str | None]:
        """Entries of provenance.json; None for what is not done."""
        return {
            "pixel_refine": self.pixel_refine or None,
            "pixel_refine_scale": self.pixel_refine_scale,
            "crf": self.crf or None,
        }

    def stages(self, *, first: str = "", last: str = "") -> str:
        """What followed the network, in words, with what comes before and behind.

        Args:
            first: stages before pixels are refined; "" for none.
            last: stages behind that, such as the CRF; "" for none.
        """
        refined = ""
        if self.pixel_refine:
            refined = f"pixel refinement, {self.pixel_refine} turns"
        if self.pixel_refine_scale not in (None, 1):
            refined += f" at {self.pixel_refine_scale:g} of the size"
        return "; ".join(filter(None, [first, refined, last]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Settings of the evaluation of activation maps.

    convention: how maps are resized and normalised, as PPC or as EPS does.
    alpha: for the CRF, the background scores (1 - best)^alpha; None: the alpha that
        makes it win below the threshold.
    affinity_labels: low and high alpha of the labels that are written for an affinity
        network, such as 4,24; "auto" calls foreground what is above the threshold of
        the masks, and background what is below a third of it; None: no labels.
    """

    scoring: Scoring = Scoring()
    scaling: Scaling = Scaling()
    output: Output = Output()
    convention: Convention = "ppc"
    alpha: _Alpha | None = None
    affinity_labels: tuple[_Alpha, _Alpha] | Literal["auto"] | None = None

    def __post_init__(self):
        """Raises UserError where settings do not go together."""
        if self.alpha is not None and not self.output.crf:
            raise UserError(f"eval.alpha={self.alpha}: give crf, too, which it is for")
        labels = self.affinity_labels
        if isinstance(labels, tuple) and not labels[0] < labels[1]:
            raise UserError(
                f"eval.affinity_labels={labels}: give a low and a high alpha, such as "
                "4,24"
            )

        if labels == "auto" and self.alpha is not None:
            raise UserError(
                f"eval.affinity_labels=auto: eval.alpha={self.alpha:g} stands in the "
                "place of the threshold that it is made of; give low and high alphas"
            )

    def labelled(self, threshold: float) -> tuple[Background, Background]:
        """The backgrounds of the labels for an affinity network.

        AffinityNet's alphas 4 and 24 are thresholds of 0.28 and 0.09, a third of it.

        Args:
            threshold: that of the masks, which counts for "auto".
        """
        if self.affinity_labels == "auto":
            return Background(threshold), Background(threshold / 3)
        low, high = self.affinity_labels
        return Background(0.0, low), Background(0.0, high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogitSettings:
    """Settings of the evaluation of segmenters."""

    scoring: Scoring = Scoring()
    scaling: Scaling = Scaling()
    windows: WindowSettings = WindowSettings()
    output: Output = Output()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AffinitySettings:
    """Settings of the evaluation of affinity networks.

    cams: folder of an earlier export, whose scores walk.
    val_cams: folder of the same export of a split with masks that is not evaluated,
        which then chooses what the background scores in the walk; empty: nothing is
        chosen.
    """

    cams: str = ""
    val_cams: str = ""
    walk: WalkSettings = WalkSettings()
    scoring: Scoring = Scoring()
    output: Output = Output()


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupportSettings:
    """Settings of the segmentation of photos by masked examples.

    support: folder of masked example photos, see docs/data.md.
    size: longer side of photos in the network; 0: config.data.crop.
    none_of_these: similarity of what is found to a class below which a photo shows
        none of it, a cosine; "auto" chooses it for each class from the examples, where
        the network compares by cosines; "off": none.
    """

    support: str = ""
    size: Annotated[int, Range(0, kinds.LONGEST_SIDE), "pixels"] = 0
    none_of_these: NoneOfThese = "auto"
    scoring: Scoring = Scoring()
    output: Output = Output()
