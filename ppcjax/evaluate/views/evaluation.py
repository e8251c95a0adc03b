"""What a network takes for the same in two views of a photo, without any label."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

from ppcjax import data_pipelines
from ppcjax.data_pipelines import views
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part
from ppcjax.evaluate.protocol import Plan, Request, announce
from ppcjax.evaluate.views import page
from ppcjax.evaluate.views.metric import alignment, match, unit
from ppcjax.fields import kinds
from ppcjax.predict import devices
from ppcjax.runs import Run
from ppcjax.runs.ours import Folder
from ppcjax.types import UserError

TRAINED, RANDOM = "maps", "random"  # in the results


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """Settings of the evaluation of methods on views.

    photos: largest number of photos of the split, evenly spaced; 0: all.
    seed: seed of the views.
    batch_size: photos predicted at a time.
    gallery: photos whose correspondences are drawn.
    random: whether the network is evaluated with random weights, too.
    """

    photos: Annotated[kinds.Total, "photos"] = 500
    seed: kinds.Seed = 0
    batch_size: Annotated[kinds.Batch, "photos"] = 16
    gallery: Annotated[kinds.Gallery, "photos"] = 12
    random: bool = True


class Described(NamedTuple):
    """A photo with a network's maps of its two views.

    weights: whether the network is TRAINED or RANDOM.
    example: the photo and its views.
    maps: [2, h, w, D] by name.
    """

    weights: str
    example: views.PairExample
    maps: dict[str, np.ndarray]


class Views(NamedTuple):
    """What is evaluated.

    settings: settings of the evaluation.
    data: config.data as requested.
    source: photos.
    shown: ids of the photos that are drawn.
    random: whether random weights are evaluated, too.
    account: what was read, see `announce`.
    """

    settings: ViewSettings
    data: dict[str, Any]
    source: Source
    shown: frozenset[str]
    random: bool
    account: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run, settings: ViewSettings, request: Request) -> "Views":
        """The photos of a split, or from elsewhere."""
        data = request.data(run)
        if request.images:
            source = photos(request.images, run.classes)
        else:
            source = data_pipelines.make_source(
                data,
                request.split_of(data),
                reads=run.method.reads,
                classes=run.classes,
                evaluation=True,
                lists=run.lists,
            )
        source = part(source, request.limit or settings.photos or None)
        shown = frozenset(evenly_spaced(source.ids, settings.gallery))
        return cls(
            data=data,
            settings=settings,
            source=source,
            shown=shown,
            random=settings.random and not request.trial,
            account=announce(source, data, request, reads="views"),
        )

    def described(self, run: Run) -> Iterator[Described]:
        """Maps of all photos by the trained, then by the random weights."""
        network = devices.compiled(run.method.predict, run.method)
        weights = {TRAINED: (run.params, run.model_state)}
        if self.random:
            weights[RANDOM] = _random_state(run)
        for name, (params, model_state) in weights.items():
            yield from describe(
                name,
                partial(network, *devices.replicate((params, model_state))),
                views.make_eval(self.data, self.source, seed=self.settings.seed),
                self.settings.batch_size,
            )

    def results(self, counts: Mapping[str, Any]) -> dict[str, Any]:
        """Summaries by weights and map."""
        if not counts:
            raise UserError(f"{self.source.name}: none of its photos can be used")
        found = {
            weights: {n: alignment(n).summarize(c) for n, c in maps.items()}
            for weights, maps in counts.items()
        }
        pairs = next(iter(found[TRAINED].values()))["pairs"]
        return {"photos": pairs, "crop": self.data["crop"], RANDOM: {}} | found

    def drawn(self, one: Described) -> page.Drawn | None:
        """A photo of the gallery; None for one that is not drawn."""
        if one.weights != TRAINED or one.example.id not in self.shown:
            return None
        first = next(iter(one.maps.values()))
        return page.draw(one.example, match(*unit(first), *one.example.pair.box))

    def write(self, one: Described, folder: Folder) -> None:
        """Writes the picture of a photo, where one is drawn."""
        drawn = self.drawn(one)
        if drawn is not None:
            folder.write(f"correspondences/{drawn.id}.jpg", drawn.jpeg)


def features(
    run: Run, settings: ViewSettings, request: Request, given: frozenset[str]
) -> Plan:
    """Correspondences between two views, by trained and by random weights."""
    del given
    of = Views.of(run, settings, request)
    return Plan(
        run=run,
        split=request.split_of(of.data),
        predictions=of.described(run),
        total=len(of.source) * (1 + of.random),
        unit="photos",
        count=count,
        summarize=of.results,
        score=scores,
        write=of.write,
        tile=of.drawn,
        text=page.format_summary,
        page=page.page,
        skipped=of.source.skipped,
        account=of.account,
    )


def count(one: Described) -> dict[str, dict[str, Any]]:
    """Sums over one photo, below its weights and map."""
    found = {name: alignment(name).count(one.maps, one.example) for name in one.maps}
    return {one.weights: found}


def scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Correspondence accuracy of each map."""
    maps = results[TRAINED]
    return {f"{name}_accuracy": found["accuracy"] for name, found in maps.items()}


def trial(settings: ViewSettings, data: Mapping[str, Any]) -> tuple[ViewSettings, str]:
    """Evaluation by which a checkpoint is chosen; it needs no labels."""
    return settings, data.get("val_split") or data["eval_split"]


def describe(
    weights: str,
    predict: Callable[[dict[str, np.ndarray]], dict[str, Any]],
    examples: Iterable[views.PairExample],
    batch_size: int,
) -> Iterator[Described]:
    """Each example with the network's maps of its views.

    Args:
        weights: TRAINED or RANDOM.
        predict: from "image" [B, H, W, 3] and "valid" [B, 4] to maps [B, h, w, D].
        examples: photos with views of one size.
        batch_size: examples predicted at a time.
    """
    examples = iter(examples)
    size = devices.filled(batch_size, batch_size)
    while group := list(islice(examples, batch_size)):
        # The last one fills the batch, so that one program serves all.
        rows = group + group[-1:] * (size - len(group))
        image = np.concatenate([example.pair.image for example in rows])
        valid = np.tile(np.int32([0, 0, *image.shape[1:3]]), (len(image), 1))
        batch = devices.shard({"image": image, "valid": valid})
        maps = jax.device_get(predict(batch))
        for i, example in enumerate(group):
            own = {k: v[2 * i : 2 * i + 2] for k, v in maps.items()}
            yield Described(weights, example, own)


def _random_state(run: Run) -> tuple[Any, Any]:
    """Parameters and state of the run's network as drawn, before any file."""
    key, _ = jax.random.split(jax.random.key(run.config["seed"]))
    crop = run.config["data"]["crop"]
    spec = {
        "image": jax.ShapeDtypeStruct((1, 2, crop, crop, 3), np.uint8),
        "box": jax.ShapeDtypeStruct((1, 2, 4), np.float32),
    }
    return run.method.keep(*run.method.init(key, spec))
