"""Scores of few-shot methods on the episodes of a protocol."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax.data_pipelines.episodes import plans as episode_plans
from ppcjax.data_pipelines.episodes.arrays import Evidence
from ppcjax.data_pipelines.episodes.examples import EpisodeExample, make_eval
from ppcjax.data_pipelines.episodes.folds import class_ids
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.episodes.metric import Counts, count_query, summarize, zero_counts
from ppcjax.evaluate.episodes.protocols import EpisodeEvaluation
from ppcjax.predict.canvases import canvas_size
from ppcjax.predict.fewshot_model import Model, to_photo
from ppcjax.report.progress import show_progress
from ppcjax.types import UserError


class Tested(NamedTuple):
    """A query with what was found in it; masks [H, W] in 0..N."""

    example: EpisodeExample
    query: int
    found: np.ndarray


def evaluate(
    model: Model,
    source: Source,
    *,
    data: dict[str, Any],
    settings: EpisodeEvaluation,
    plans: str | Path = "",
    use=None,
) -> dict[str, Any]:
    """Scores of a model on episodes of a source, for each number of shots.

    Args:
        model: of a run.
        source: photos with masks.
        data: config.data of the model's training: held-out classes, how the masks of
            supports are read.
        settings: what is evaluated.
        plans: folder of plans; those that are missing are drawn and written there.
        use: called with (shots, seed, Tested) for each query.

    Returns:
        "protocol", what it comes to in numbers, and "shots": number of shots -> scores
        of `episode_metric.summarize`.

    Raises:
        UserError: a class has too few photos, or a setting does not fit.
    """
    protocol = settings.resolved()
    counts = episode_plans.count_pixels(source)
    chosen = evaluated_classes(data, settings.classes, source.classes)
    index = episode_plans.class_index(
        source, counts, chosen, min_pixels=protocol.min_pixels
    )
    evidence = Evidence(**{k: data[k] for k in _EVIDENCE if k in data})
    results = {}
    for shot in settings.shots:
        shape = episode_plans.Shape(settings.way, shot, settings.query)
        runs = []
        for seed in protocol.seeds:
            plan = _plan(index, shape, protocol, seed, plans, source)
            examples = make_eval(
                source,
                plan,
                shape,
                fit=protocol.fit,
                size=protocol.size,
                score=protocol.score,
                evidence=evidence,
                canvas=canvas_size,
            )
            tested = predictions(model, examples, settings)
            name = f"{shot}-shot, seed {seed}"
            total = zero_counts(len(source.classes))
            for one in show_progress(tested, len(plan) * shape.query, name):
                total += _count(one, len(source.classes), protocol.absent)
                if use is not None:
                    use(shot, seed, one)
            runs.append(total)
        results[shot] = summarize(runs, source.classes, chosen)
    described = {"name": settings.protocol, "split": source.name, "way": settings.way}
    described |= {"classes": [source.classes[c] for c in chosen]}
    return {"protocol": described | protocol._asdict(), "shots": results}


_EVIDENCE = ("support_void", "other_ways")


def evaluated_classes(
    data: dict[str, Any], which: str, classes: Sequence[str]
) -> list[int]:
    """Ids of the classes that episodes are of.

    Args:
        data: config.data of the training.
        which: "novel"; "validation", which is "base" where there are none; or "base",
            those of the training episodes.
        classes: of the source, background first.
    """
    novel, validation, train = (
        class_ids(f"config.data.{name}", data.get(name, ()), classes)
        for name in ("novel", "validation_classes", "train_classes")
    )
    if which == "novel" and not novel:
        raise UserError(
            "config.data.novel is empty, so no class is held out; name some, or set "
            "config.eval.classes to base"
        )
    if which == "novel":
        return novel
    if which == "validation" and validation:
        return validation
    held_out = {*novel, *validation}
    return train or [c for c in range(1, len(classes)) if c not in held_out]


def _plan(index, shape, protocol, seed, folder, source) -> np.ndarray:
    path = Path(folder) / f"{shape.way}way_{shape.shot}shot_seed{seed}.npy"
    if folder and path.is_file():
        return episode_plans.load_plan(path, shape, source)
    plan = episode_plans.draw_plan(
        index,
        shape,
        episodes=protocol.episodes,
        seed=seed,
        sampling=protocol.sampling,
    )
    if folder:
        episode_plans.save_plan(path, plan)
    return plan


def _count(tested: Tested, num_classes: int, absent: str) -> Counts:
    truth = tested.example.truths[tested.query]
    return count_query(
        tested.found, truth, tested.example.row.classes, num_classes, absent=absent
    )


def predictions(
    model: Model, examples: Iterator[EpisodeExample], settings: EpisodeEvaluation
) -> Iterator[Tested]:
    """Predicts episodes in batches of equal canvases; yields their queries."""
    predict = jax.jit(model.method.predict)
    params, model_state = jax.device_put((model.params, model.model_state))

    def finish(group, logits):
        logits = np.asarray(logits["logits"])
        for example, of_example in zip(group, logits, strict=False):
            for q, truth in enumerate(example.truths):
                valid = example.arrays["query_valid"][q]
                yield Tested(
                    example,
                    q,
                    to_photo(
                        of_example[q],
                        valid[2:],
                        truth.shape,
                        stride=model.stride,
                        align_corners=settings.align_corners,
                    ).argmax(-1),
                )

    previous = None
    for group in _groups(examples, settings.batch_size):
        filled = group + [group[-1]] * (settings.batch_size - len(group))
        batch = {
            key: np.stack([example.arrays[key] for example in filled])
            for key in group[0].arrays
            if key not in ("query_mask", "class_id")
        }
        # The device works on this group while the host counts the one before.
        current = group, predict(params, model_state, batch)
        if previous is not None:
            yield from finish(*previous)
        previous = current
    if previous is not None:
        yield from finish(*previous)


def _groups(
    examples: Iterator[EpisodeExample], size: int
) -> Iterator[list[EpisodeExample]]:
    """Consecutive examples on canvases of one size, at most `size` of them."""
    group: list[EpisodeExample] = []
    for example in examples:
        side = example.arrays["query_image"].shape
        if group and (
            len(group) == size or side != group[0].arrays["query_image"].shape
        ):
            yield group
            group = []
        group.append(example)
    if group:
        yield group
