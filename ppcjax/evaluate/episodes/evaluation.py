"""Scores of few-shot methods on the episodes of a protocol."""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax import data_pipelines
from ppcjax.data_pipelines import episode_plans
from ppcjax.data_pipelines.episode_arrays import Evidence
from ppcjax.data_pipelines.episode_examples import EpisodeExample, make_eval
from ppcjax.data_pipelines.folds import class_ids
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import part
from ppcjax.evaluate.episodes import choice as choices
from ppcjax.evaluate.episodes import page
from ppcjax.evaluate.episodes.metric import count_query, summarize
from ppcjax.evaluate.episodes.protocols import EpisodeSettings, Protocol
from ppcjax.evaluate.protocol import Plan, Request, count_all
from ppcjax.predict import devices
from ppcjax.predict.canvases import canvas_size
from ppcjax.predict.queries import QueryPrediction, query_stride, to_photo
from ppcjax.runs import Run
from ppcjax.runs.files import write_file
from ppcjax.types import UserError


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


class Repetition(NamedTuple):
    """Episodes of one number of shots and one seed: their shape and their plan."""

    shape: episode_plans.Shape
    seed: int
    plan: np.ndarray

    @property
    def file(self) -> str:
        """Name under which the plan is kept."""
        return f"{self.shape.way}way_{self.shape.shot}shot_seed{self.seed}.npy"


def episodes(
    run: Run, settings: EpisodeSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Episodes of a protocol, for each number of shots and each seed.

    Of a run with several checkpoints one is chosen first, see `choice`.
    """
    del given
    data = request.data(run)
    choice = None
    if not request.trial:
        run, choice = choices.chosen(run, settings, data, results_of)
    protocol = settings.resolved()
    split = request.split_of(data)
    source = part(
        data_pipelines.make_source(data, split, classes=run.classes), request.limit
    )
    counts = episode_plans.count_pixels(source, skip=data["on_bad_image"] == "skip")
    chosen = evaluated_classes(data, settings.classes, source.classes)
    index = episode_plans.class_index(
        source, counts, chosen, min_pixels=protocol.min_pixels
    )
    repetitions = _repetitions(index, settings, protocol, source)
    evidence = Evidence(
        **{k: data[k] for k in ("support_void", "other_ways") if k in data}
    )

    def predictions():
        numbers = dict.fromkeys(settings.shots, 0)
        for one in repetitions:
            examples = make_eval(
                source,
                one.plan,
                one.shape,
                fit=protocol.fit,
                size=protocol.size,
                score=protocol.score,
                evidence=evidence,
                canvas=canvas_size,
            )
            shot = one.shape.shot
            for found in predict(run, examples, settings.prediction):
                numbers[shot] += 1
                yield Tested(shot, one.seed, numbers[shot], *found)

    def count(tested: Tested):
        truth = tested.example.truths[tested.query]
        ways = tested.example.row.classes
        counts = count_query(
            tested.found, truth, ways, len(source.classes), absent=protocol.absent
        )
        return {tested.shot: {tested.seed: counts}}

    def results(counts: Mapping[str, Any]) -> dict[str, Any]:
        described = {"name": settings.protocol, "split": source.name}
        described |= {"way": settings.way}
        described |= {"classes": [source.classes[c] for c in chosen]}
        return {
            "protocol": described | protocol._asdict(),
            "shots": {
                shot: summarize(list(seeds.values()), source.classes, chosen)
                for shot, seeds in counts.items()
            },
            "choice": choice,
        }

    def tile(tested: Tested):
        if tested.number > settings.gallery:
            return None
        return page.picture(tested, source.classes)

    def write(tested: Tested, folder: Path):
        drawn = tile(tested)
        if drawn is not None:
            name = f"{tested.shot}shot_{tested.seed}_{tested.number:03d}.jpg"
            write_file(folder / "episodes" / name, drawn.jpeg)

    return Plan(
        run=run,
        split=split,
        predictions=predictions(),
        total=sum(len(one.plan) * one.shape.query for one in repetitions),
        unit="queries",
        count=count,
        summarize=results,
        score=partial(scores, shot=settings.shots[0]),
        write=write,
        tile=tile,
        text=page.format_result,
        page=page.page,
        files={
            f"plans/{one.file}": _as_file(one.plan)
            for one in repetitions
            if not settings.plans
        },
        record={"plans": settings.plans or "plans", "choice": choice},
        skipped=source.skipped,
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


def _repetitions(
    index, settings: EpisodeSettings, protocol: Protocol, source: Source
) -> list[Repetition]:
    folder = Path(settings.plans).expanduser()
    found = []
    for shot in settings.shots:
        shape = episode_plans.Shape(settings.way, shot, settings.query)
        for seed in protocol.seeds:
            one = Repetition(shape, seed, np.zeros(0))
            path = folder / one.file
            if settings.plans and path.is_file():
                plan = episode_plans.load_plan(path, shape, source)
            else:
                plan = episode_plans.draw_plan(
                    index,
                    shape,
                    episodes=protocol.episodes,
                    seed=seed,
                    sampling=protocol.sampling,
                )
                if settings.plans:
                    write_file(path, _as_file(plan))
            found.append(one._replace(plan=plan))
    return found


def _as_file(plan: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, plan)
    return content.getvalue()


def predict(
    run: Run, examples: Iterator[EpisodeExample], settings: QueryPrediction
) -> Iterator[tuple[EpisodeExample, int, np.ndarray]]:
    """Episodes in batches of equal canvases.

    Yields:
        For each query its episode, its place there, and its mask [H, W] in 0..N.
    """
    network = jax.jit(run.method.predict)
    params, model_state = devices.replicate((run.params, run.model_state))
    stride = query_stride(run)

    def finish(group, logits):
        logits = np.asarray(logits["logits"])
        for example, of_example in zip(group, logits, strict=False):
            for q, truth in enumerate(example.truths):
                valid = example.arrays["query_valid"][q]
                found = to_photo(
                    of_example[q],
                    valid[2:],
                    truth.shape,
                    stride=stride,
                    align_corners=settings.align_corners,
                )
                yield example, q, found.argmax(-1)

    previous = None
    size = devices.filled(settings.batch_size, settings.batch_size)
    for group in _groups(examples, size):
        filled = group + [group[-1]] * (size - len(group))
        batch = {
            key: np.stack([example.arrays[key] for example in filled])
            for key in group[0].arrays
            if key not in ("query_mask", "class_id")
        }
        # The device works on this group while the host counts the one before.
        current = group, network(params, model_state, devices.shard(batch))
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
