"""What happens to predictions after the network: walk, labels, CRF, in this order."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppcjax.evaluate.masks import files as export
from ppcjax.evaluate.masks.evaluation import Run, predict_run
from ppcjax.ops.affinity import combine_alphas
from ppcjax.predict.tta import Prediction
from ppcjax.refine.crf import preset
from ppcjax.refine.stream import (
    Background,
    refine_predictions,
    with_affinity_labels,
)
from ppcjax.refine.walk import WalkSettings, walk_predictions
from ppcjax.runs import provenance
from ppcjax.types import UserError


class Stages(NamedTuple):
    """The stages of an evaluation.

    maps: whether the network gives activation maps, which need a threshold.
    crf: name of a preset, or "".
    alpha: see `Background`.
    cams: folder of an earlier export, whose scores walk; None without a walk.
    affinity_labels: low and high alpha of the labels to write; None for none.
    workers: processes of the CRF.
    """

    maps: bool
    crf: str = ""
    alpha: float | None = None
    cams: Path | None = None
    affinity_labels: tuple[float, float] | None = None
    workers: int = 0

    @property
    def arg_max(self) -> bool:
        """Whether masks are the arg-max of probabilities, not of a threshold."""
        return not self.maps or bool(self.crf)

    @classmethod
    def of(
        cls,
        run: Run,
        *,
        crf: str,
        alpha: float | None,
        cams: str | None,
        affinity_labels: Sequence[str] | None,
        workers: int,
    ) -> "Stages":
        """Checked stages from what the command line says.

        Raises:
            UserError: a stage does not fit the run or the others, or its input is not
                there.
        """
        if crf:
            preset(crf)
        if alpha is not None and not (alpha > 0 and crf and run.kind == "scores"):
            raise UserError(
                f"--alpha={alpha}: give a number above 0, beside --crf, for a run "
                "whose network gives activation maps"
            )
        if affinity_labels is not None and run.kind != "scores":
            raise UserError(
                "--affinity_labels are made from activation maps, but "
                f"{run.folder} holds the method {run.config['method']['name']!r}"
            )
        return cls(
            maps=run.kind == "scores",
            crf=crf,
            alpha=alpha,
            cams=_check_cams(run, cams),
            affinity_labels=_check_alphas(affinity_labels),
            workers=workers,
        )

    def predictions(
        self, run: Run, examples: Iterable[Any], *, background: float, out: Path
    ) -> Iterator[Prediction]:
        """Predictions of examples after all stages.

        Args:
            run: the network.
            examples: of the data side.
            background: score below which the background is likelier.
            out: where affinity labels are written.
        """
        if self.cams is None:
            found = predict_run(run, examples)
        else:
            found = walk_predictions(
                *run.predictor,
                examples,
                lambda name: export.read_scores(self.cams, name),
                WalkSettings(**run.walk),
                num_classes=len(run.classes),
                **run.tta,
            )
        settings = preset(self.crf) if self.crf else None
        if self.affinity_labels is not None:
            labelled = with_affinity_labels(
                found, self.affinity_labels, settings, workers=self.workers
            )
            found = _writing_labels(labelled, out)
        if settings is None:
            return found
        return refine_predictions(
            found,
            settings,
            Background(background, self.alpha),
            workers=self.workers,
        )

    def describe(self, background: float) -> str:
        """The stages in a few words; "" without one."""
        parts = []
        if self.cams is not None:
            parts.append(f"random walk of the scores in {self.cams}")
        if self.crf:
            part = f"dense CRF {self.crf}"
            if self.alpha is not None:
                part += f", background (1 - best)^{self.alpha:g}"
            elif self.maps:
                part += f", background as likely as a score of {background:g}"
            parts.append(part)
        return "; ".join(parts)

    def record(
        self, run: Run, split: str, images: int, exported, background: float
    ) -> dict[str, Any]:
        """What provenance.json says of an export."""
        return {
            "config": run.config["name"],
            "checkpoint": {"run": str(run.folder), "step": run.step},
            "classes": list(run.classes),
            "split": split,
            "images": images,
            "threshold": exported["threshold"],
            "background": background,
            "crf": self.crf or None,
            "alpha": self.alpha,
            "affinity_labels": self.affinity_labels,
            "masks": run.config["data"].get("masks") or None,
            "cams": provenance.read(self.cams) if self.cams else None,
        }


def _check_alphas(words: Sequence[str] | None) -> tuple[float, float] | None:
    if words is None:
        return None
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        low = high = 0.0
    if not 0 < low < high:
        raise UserError(
            f"--affinity_labels={','.join(words)}: give a low and a high alpha, such "
            "as 4,24"
        )
    return low, high


def _check_cams(run: Run, cams: str | None) -> Path | None:
    if (cams is None) == (run.kind == "affinity"):
        raise UserError(
            f"{run.folder} holds an affinity network: give the scores that are to "
            "walk, --cams=EXPORT of an earlier eval.py"
            if cams is None
            else f"--cams is for runs of the method 'affinity', which {run.folder} "
            "does not hold"
        )
    if cams is None:
        return None
    folder = Path(cams).expanduser()
    if not (folder / "scores").is_dir():
        raise UserError(
            f"--cams={cams}: there is no folder {folder / 'scores'}; export the "
            "activation maps into it first, with eval.py --export"
        )
    made = provenance.read(folder)
    if made and tuple(made["classes"]) != run.classes:
        raise UserError(
            f"--cams={cams}: its scores are of the classes "
            f"{', '.join(made['classes'])}, but the run has {', '.join(run.classes)}"
        )
    return folder


def _writing_labels(labelled, out: Path) -> Iterator[Prediction]:
    for prediction, low, high in labelled:
        name = f"{prediction.example.id}.png"
        export.write_mask(out / "labels_low" / name, low)
        export.write_mask(out / "labels_high" / name, high)
        export.write_mask(out / "labels" / name, combine_alphas(low, high))
        yield prediction
