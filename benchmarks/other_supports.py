"""Scores of a few-shot network whose examples show something else than what is sought.

    python -m benchmarks.other_supports --ckpt RUN --export OUT [options of eval.py]
    python -m benchmarks.other_supports --inside_out --ckpt RUN --export OUT [...]

Each query keeps its truth, and gets the examples of the next episode whose class is
another; or its own, in which all that is not of the class is marked instead. A network
that looks for what its examples show scores far lower so; one that finds what stands
out in a photo scores the same, and gains nothing from more examples. Classes that are
alike, such as cow and dog, prove less than examples inside out.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ppcjax.data_pipelines.episodes.examples import EpisodeExample
from ppcjax.evaluate import command
from ppcjax.evaluate.episodes import evaluation
from ppcjax.types import IGNORE, UserError

_INSIDE_OUT = "--inside_out"
_OF_SUPPORTS = ("support_image", "support_valid", "support_mask", "shot_valid")


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates as eval.py does, with other examples."""
    words = list(sys.argv[1:] if argv is None else argv)
    change = inside_out if _INSIDE_OUT in words else swapping
    made = evaluation.make_eval
    evaluation.make_eval = change(made)
    try:
        command.main([word for word in words if word != _INSIDE_OUT])
    finally:
        evaluation.make_eval = made


def swapping(
    made: Callable[..., Iterator[EpisodeExample]],
) -> Callable[..., Iterator[EpisodeExample]]:
    """What makes episodes, whose supports are then those of another class.

    Raises:
        UserError: all episodes are of one class (while iterating).
    """

    def swapped(*args, **settings) -> Iterator[EpisodeExample]:
        examples = list(made(*args, **settings))
        for place, example in enumerate(examples):
            following = examples[place + 1 :] + examples[:place]
            others = (e for e in following if not shares_class(e, example))
            other = next(others, None)
            if other is None:
                raise UserError("all episodes are of one class; hold out two or more")
            theirs = {name: other.arrays[name] for name in _OF_SUPPORTS}
            yield example._replace(arrays={**example.arrays, **theirs})

    return swapped


def inside_out(
    made: Callable[..., Iterator[EpisodeExample]],
) -> Callable[..., Iterator[EpisodeExample]]:
    """What makes episodes whose examples mark all but the class.

    Raises:
        UserError: episodes are of several classes (while iterating).
    """

    def turned(*args, **settings) -> Iterator[EpisodeExample]:
        for example in made(*args, **settings):
            mask = example.arrays["support_mask"]
            if mask.shape[0] > 1:
                raise UserError("with several ways there is no other side; give one")
            other = np.where(mask == IGNORE, IGNORE, 1 - mask)
            arrays = {**example.arrays, "support_mask": other.astype(mask.dtype)}
            yield example._replace(arrays=arrays)

    return turned


def shares_class(one: EpisodeExample, other: EpisodeExample) -> bool:
    """Whether a class is sought in both episodes."""
    return bool({*one.row.classes.tolist()} & {*other.row.classes.tolist()})


if __name__ == "__main__":
    main()
