"""Scores of a few-shot network whose examples show another class than the one sought.

    python -m benchmarks.other_supports --ckpt RUN --export OUT [options of eval.py]

Each query keeps its truth, and gets the examples of the next episode whose class is
another. A network that looks for what its examples show scores far lower so; one that
finds what stands out in a photo scores the same, and gains nothing from more examples.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

from ppcjax.data_pipelines.episodes.examples import EpisodeExample
from ppcjax.evaluate import command
from ppcjax.evaluate.episodes import evaluation
from ppcjax.types import UserError

_OF_SUPPORTS = ("support_image", "support_valid", "support_mask", "shot_valid")


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates as eval.py does, with the examples of other episodes."""
    made = evaluation.make_eval
    evaluation.make_eval = swapping(made)
    try:
        command.main(list(sys.argv[1:] if argv is None else argv))
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


def shares_class(one: EpisodeExample, other: EpisodeExample) -> bool:
    """Whether a class is sought in both episodes."""
    return bool({*one.row.classes.tolist()} & {*other.row.classes.tolist()})


if __name__ == "__main__":
    main()
