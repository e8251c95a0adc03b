"""Photos that show none of the classes: a threshold on the similarity of what is found.

A few-shot network that compares finds something in every photo. What is found counts
where it is as similar to the class as the examples are to each other.

    s_c(photo) = mean of the larger half of { cos(F(q), P_c) : q found to be c }
    t_c = g_c + a (mean_i s_c(i) - g_c)

with i the examples, each segmented by prototypes of the others, and g_c the mean of
cos(F(q), P_c) over their pixels that are not c. A class with s_c < t_c is taken out of
a photo. With one example there are no others: its own pixels, nearer to the prototype
than those of any new photo, stand in, and a is smaller.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np

from ppcjax import fields, methods
from ppcjax.fields import Range
from ppcjax.predict.by_examples import Examples, learn, scores
from ppcjax.predict.queries import query_stride
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError

NoneOfThese = Literal["auto", "off"] | Annotated[float, Range(-1, 1)]

# Shares a of the way from background to class; docs/few_shot.md has the numbers.
HELD_OUT, OWN = 0.6, 0.25
_FOLDS = 5  # so many times prototypes are made of the other examples, at most
NEVER = -1.0  # no similarity is below


def similarity_scale(run: Run) -> float | None:
    """Factor of the cosines in the scores of a run; None where they are no cosines."""
    settings = run.config["method"]
    declared = fields.fields_of(methods.METHODS[settings["name"]]).get("scale")
    return declared and float(settings.get("scale", declared.default))


def thresholds(how: NoneOfThese, run: Run, examples: Examples) -> tuple[float, ...]:
    """The least similarity of each class; () where nothing is taken out.

    Args:
        how: "auto" chooses them from the examples, a number is that of all classes.
        run: few-shot network.
        examples: what the classes are learnt from.

    Raises:
        UserError: a number, for a network whose scores are no similarities.
    """
    scale = similarity_scale(run)
    if how == "off" or (how == "auto" and scale is None):
        return ()
    if scale is None:
        raise UserError(
            f"none_of_these={how}: the scores of {run.config['method']['name']} are no "
            "similarities; give off"
        )
    if how != "auto":
        return (float(how),) * len(examples.shots)
    return _chosen(run, examples, scale)


def take_out(logits: np.ndarray, scale: float, least: Sequence[float]) -> np.ndarray:
    """Scores of a photo in which classes that are not similar enough lose everywhere.

    Args:
        logits: [H, W, 1 + N] float32, cosines times `scale`, the background's first.
        scale: factor of the cosines.
        least: [N] thresholds, see `thresholds`.

    Returns:
        [H, W, 1 + N] float32; a class that is taken out is less similar than the
        background by at least 1 everywhere. The least fitting class goes first, and
        what is left is looked at again.
    """
    logits = np.array(logits, np.float32)
    while True:
        lack = np.asarray(least) - found_similarity(logits / scale)
        worst = int(np.argmax(np.where(np.isnan(lack), -np.inf, lack)))
        if not lack[worst] > 0:
            return logits
        below = np.minimum(logits[..., worst + 1], logits[..., 0]) - scale
        logits[..., worst + 1] = below


def found_similarity(cosines: np.ndarray) -> np.ndarray:
    """Similarity s_c of what is found of each class.

    Args:
        cosines: [H, W, 1 + N], the background's first.

    Returns:
        [N]; NaN for a class that is found nowhere.
    """
    best = cosines.argmax(-1)
    ways = range(1, cosines.shape[-1])
    return np.array([upper_half(cosines[..., c][best == c]) for c in ways])


def upper_half(values: np.ndarray) -> float:
    """Mean of the larger half of some values [P], one at least; NaN of none."""
    count = values.size - values.size // 2
    return float(np.sort(values)[-count:].mean()) if values.size else np.nan


def between(
    found: Iterable[float], ground: Iterable[float], *, held_out: bool
) -> float:
    """Threshold t_c of a class.

    Args:
        found: similarity of what is found in each example.
        ground: mean similarity of what is not the class, of each example that has any.
        held_out: whether prototypes were of other examples than those looked at.

    Returns:
        The threshold; NEVER where no example tells what is not the class.
    """
    found, ground = list(found), list(ground)
    if not found or not ground:
        return NEVER
    base = float(np.mean(ground))
    return base + (HELD_OUT if held_out else OWN) * (float(np.mean(found)) - base)


def _chosen(run: Run, examples: Examples, scale: float) -> tuple[float, ...]:
    stride = query_stride(run)
    # Photos of one class fall into different folds.
    fold = {}
    for photos in examples.shots:
        for number, i in enumerate(photos):
            fold.setdefault(i, number % _FOLDS)
    seen = []  # class, whether held out, found, ground
    for part in sorted(set(fold.values())):
        out = [i for i in fold if fold[i] == part]
        valid, held_out = without(examples, out)
        learnt = learn(run, examples.batch | {"shot_valid": valid})
        for i in out:
            photo, mask = examples.photos[i], examples.masks[i]
            logits = scores(run, learnt, photo, mask.shape, stride=stride)
            for way, photos in enumerate(examples.shots):
                if i in photos:
                    pair = _of_example(logits / scale, mask, way + 1)
                    seen.append((way, held_out[way], *pair))
    return tuple(_of_class(seen, way) for way in range(len(examples.shots)))


def without(examples: Examples, photos: Sequence[int]) -> tuple[np.ndarray, list[bool]]:
    """Which shots count where some photos are held out, and of which classes they are.

    A class of which no shot would be left keeps them all, and its photos are not held
    out.

    Returns:
        [1, N, K] bool, and [N].
    """
    valid = examples.batch["shot_valid"].copy()
    held_out = []
    for way, shots in enumerate(examples.shots):
        held_out.append(bool(set(shots) - set(photos)))
        for shot, i in enumerate(shots):
            if held_out[way] and i in photos:
                valid[0, way, shot] = False
    return valid, held_out


def _of_example(cosines: np.ndarray, mask: np.ndarray, way: int) -> tuple[float, float]:
    """Similarity of what is found of a class, and the mean of what is not the class."""
    found = found_similarity(cosines)[way - 1]
    if np.isnan(found):
        found = upper_half(cosines[..., way][mask == way])
    others = cosines[..., way][(mask != way) & (mask != IGNORE)]
    return found, float(others.mean()) if others.size else np.nan


def _of_class(seen: Sequence[tuple], way: int) -> float:
    own = [row[1:] for row in seen if row[0] == way]
    held_out = any(row[0] for row in own)
    rows = [row for row in own if row[0] == held_out]
    found = [row[1] for row in rows if not np.isnan(row[1])]
    ground = [row[2] for row in rows if not np.isnan(row[2])]
    return between(found, ground, held_out=held_out)
