"""Masks of photos from a trained run, for use from Python."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ppcjax import fields
from ppcjax.checkout import program
from ppcjax.data_pipelines import large
from ppcjax.fields import Range
from ppcjax.predict import devices, tta
from ppcjax.predict.images import PhotoLike, as_photo, is_one
from ppcjax.predict.prediction import Prediction, predict_mask, usual_threshold
from ppcjax.predict.windows import WindowSettings
from ppcjax.runs import Run
from ppcjax.runs.checked import read_json
from ppcjax.types import UserError
from ppcjax.weights.opening import open_model

_LOG = logging.getLogger(__name__)

# What to use instead of `load`, by what a run gives.
_INSTEAD = {
    "affinity": "it needs the scores of another run: "
    f"{program('eval')} --ckpt RUN --cams EXPORT",
    "episodes": "it needs examples: ppcjax.fewshot(images, masks, run=RUN)",
    "features": "it has no classes: start another run from it with config.init_from, "
    f"or see {program('eval')} --ckpt RUN",
}

_Threshold = Annotated[float, Range(0, below=1)]
_P = TypeVar("_P", bound=PhotoLike)


class Segmentation(NamedTuple):
    """What a photo shows.

    mask: [H, W] uint8 class ids; 0 is the background.
    scores: [H, W, C] float32, as in `ppcjax.predict.prediction.Prediction`; of a photo
        of more than 16 megapixels, at the reduced size at which it is predicted.
    tags: names of the classes shown: given, else predicted.
    """

    mask: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float32]
    tags: tuple[str, ...]


class Example(NamedTuple):
    """A photo to be predicted, and its full size (rows, columns)."""

    id: int
    image: np.ndarray
    tags: np.ndarray | None
    full_size: tuple[int, int]
    mask: None = None


def example(
    index: int, value: Any, name: str, tags: np.ndarray | None = None
) -> Example:
    """A photo to be predicted, at the size at which that is done.

    Args:
        index: its place among the photos, and its id.
        value: array, PIL image or path, see `as_photo`.
        name: what it is called in messages where it is no file.
        tags: [C] float32, where they are known.
    """
    photo = as_photo(value, name)
    name = str(value) if isinstance(value, str | os.PathLike) else name
    image, full_size = large.reduced(photo), (photo.height, photo.width)
    if image.shape[:2] != full_size:
        _LOG.warning("%s", large.said(name, photo))
    return Example(index, image, tags, full_size)


class Predictor:
    """A trained network that segments photos of any size; made by `ppcjax.load`.

    classes: names by class id, "background" first.
    threshold: score above which a pixel is foreground.
    """

    def __init__(self, run: Run, threshold: float):
        """From a run that gives activation maps or logits."""
        need_segmenter(run)
        # On the devices once, not at every call.
        placed = devices.replicate((run.params, run.model_state))
        self._run = run._replace(params=placed[0], model_state=placed[1])
        self._settings = prediction_settings(run.evaluation)
        self.classes = run.classes
        self.threshold = threshold

    @overload
    def predict(
        self, photos: PhotoLike, tags: Iterable[str] | None = None
    ) -> Segmentation: ...

    @overload
    def predict(
        self,
        photos: list[_P] | tuple[_P, ...] | Iterator[_P],
        tags: Iterable[str] | None = None,
    ) -> list[Segmentation]: ...

    def predict(self, photos: Any, tags: Iterable[str] | None = None) -> Any:
        """Segments a photo, or several.

        Args:
            photos: [H, W, 3] uint8 RGB array of any size, PIL image or path; or a list
                or an iterator of these.
            tags: names of the classes that the photos show, where they are known; the
                others then score 0 on activation maps.

        Returns:
            A Segmentation at the photo's own size; for a list, a list of them.

        Raises:
            UserError: a photo has another type or shape, or a tag is unknown.

        >>> predictor = load(RUN)
        >>> photo = np.full((40, 60, 3), 128, np.uint8)
        >>> found = predictor.predict(photo)
        >>> found.mask.shape, found.scores.shape == (40, 60, len(predictor.classes))
        ((40, 60), True)
        >>> [one.mask.shape for one in predictor.predict([photo, photo[:, :30]])]
        [(40, 60), (40, 30)]
        """
        several = not is_one(photos)
        known = None if tags is None else self._encode(tags)
        given = photos if several else [photos]
        # One after the other: those that are done need not stay in memory.
        examples = (
            example(i, photo, f"photo {i}" if several else "the photo", known)
            for i, photo in enumerate(given)
        )
        by_place: dict[int, Segmentation] = {}
        for one in predict_photos(self._run, examples, self._settings):
            shown = np.flatnonzero(one.tags[1:]) + 1
            by_place[one.example.id] = Segmentation(
                mask=large.nearest(
                    predict_mask(one.scores, self.threshold), one.example.full_size
                ),
                scores=one.scores,
                tags=tuple(self.classes[c] for c in shown),
            )
        found = [by_place[place] for place in sorted(by_place)]
        return found if several else found[0]

    def _encode(self, tags: Iterable[str]) -> np.ndarray:
        vector = np.zeros(len(self.classes), np.float32)
        vector[0] = 1
        for name in [tags] if isinstance(tags, str) else tags:
            if name not in self.classes:
                raise UserError(
                    f"unknown tag {name!r}; the classes are {', '.join(self.classes)}"
                )
            vector[self.classes.index(name)] = 1
        return vector


def need_segmenter(run: Run) -> None:
    """Raises UserError where a run does not segment photos by itself."""
    if run.method.gives in _INSTEAD:
        raise UserError(
            f"{run.name} does not segment photos by itself; "
            + _INSTEAD[run.method.gives]
        )


def load(run: str | Path, *, threshold: float | None = None) -> Predictor:
    """Opens a run for prediction.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP; or what `eval.py
            --export_model` wrote, the folder or its model.jaxexp.
        threshold: score above which a pixel is foreground; None: what evaluation
            chose on the validation split, else the config's.

    Raises:
        UserError: there is no checkpoint, or the run does not segment photos by itself;
            the message says what to use instead.

    >>> predictor = load(RUN)
    >>> predictor.classes[0]
    'background'
    """
    fields.check(_Threshold | None, threshold, "ppcjax.load: threshold")
    opened = open_model(run)
    return Predictor(
        opened, chosen_threshold(opened) if threshold is None else threshold
    )


def prediction_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of config.eval that `ppcjax.predict.tta.predict` takes, checked."""
    known = fields.fields_of(_settings)
    chosen = {name: settings[name] for name in known if name in settings}
    return fields.build(_settings, chosen, where="config.eval", what="prediction")


def _settings(
    *,
    scaling: tta.Scaling,
    windows: WindowSettings,
    convention: tta.Convention = "ppc",
) -> dict[str, Any]:
    """Arguments of `tta.predict`."""
    return {
        "scaling": scaling,
        "windows": windows.resolved(),
        "convention": convention,
    }


def predict_photos(
    run: Run, examples: Iterable[Any], settings: Mapping[str, Any]
) -> Iterator[Prediction]:
    """`tta.predict` with the network of a run."""
    return tta.predict(run.method, run.params, run.model_state, examples, **settings)


def chosen_threshold(run: Run) -> float:
    """What an evaluation of a split chose, else what was set before."""
    chosen = recorded_threshold(run)
    return chosen["threshold"] if chosen else fixed_threshold(run)


def fixed_threshold(run: Run) -> float:
    """The threshold that was set before any mask was looked at."""
    found = run.evaluation.get("threshold")
    return usual_threshold(run.method.gives) if found is None else found


def recorded_threshold(run: Run) -> dict[str, Any] | None:
    """What an evaluation of a split of the same step chose; None before that."""
    file = run.folder / "threshold.json"
    found = read_json(file)
    if found.get("step") != run.step:
        return None
    fields.check(_Threshold, found.get("threshold"), f"{file}: threshold")
    fields.check(str, found.get("split", ""), f"{file}: split")
    return found
