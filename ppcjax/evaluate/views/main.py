"""The command line's half for methods on views: what a network takes for the same."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ppcjax import data_pipelines, methods
from ppcjax.data_pipelines import views
from ppcjax.data_pipelines.sources.photos import photos as find_photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part
from ppcjax.evaluate.masks import files as export_files
from ppcjax.evaluate.masks import gallery as report
from ppcjax.evaluate.masks import page
from ppcjax.evaluate.masks.metric import add_counts
from ppcjax.evaluate.masks.summary import as_json
from ppcjax.evaluate.views import page as pages
from ppcjax.evaluate.views.metric import alignment, match, unit
from ppcjax.report.progress import show_progress
from ppcjax.runs import checkpoint
from ppcjax.types import Method, UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewEvaluation:
    """The settings of config.eval for methods on views.

    photos: how many of the split, evenly spaced; 0 for all.
    seed: of the views.
    batch_size: photos predicted at a time.
    gallery: photos whose correspondences are drawn.
    random: whether the network is evaluated with random weights, too.
    """

    photos: int = 500
    seed: int = 0
    batch_size: int = 16
    gallery: int = 12
    random: bool = True

    def __post_init__(self):
        """Raises UserError naming the setting that is wrong."""
        for name, least in (("photos", 0), ("seed", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"config.eval.{name}={getattr(self, name)}: give a whole number of "
                    f"at least {least}"
                )

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "ViewEvaluation":
        """From config.eval; raises UserError for an unknown field."""
        unknown = set(settings) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(
                f"config.eval.{min(unknown)} is not a setting of evaluation on views"
            )
        return cls(**settings)


def is_on_views(config: dict[str, Any]) -> bool:
    """Whether a run with this config was trained on pairs of views."""
    return "ratio" in config["data"]


def main(
    run: str | Path,
    *,
    split: str = "",
    images: str = "",
    root: str | None = None,
    export: str | Path = "",
    limit: int | None = None,
    on_bad_image: str | None = None,
) -> dict[str, Any]:
    """Evaluates a run as its config.eval says; prints and writes the result.

    Writes to `export` metrics.json, correspondences/ID.jpg and report.html.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        split: of the data; "" for config.data.eval_split.
        images: folder or pattern of photos to use instead of a split.
        root: where the data lies now; None for config.data.root.
        export: folder; "" for RUN/eval-SPLIT.
        limit: only so many photos; None for config.eval.photos.
        on_bad_image: None for the config's.

    Returns:
        What is written to metrics.json.

    Raises:
        UserError: no checkpoint, no photos, or a setting is wrong.
    """
    restored = checkpoint.restore(run)
    config, folder = restored.meta["config"], checkpoint.run_folder(run)
    settings = ViewEvaluation.of(config.get("eval", {}))
    data = dict(config["data"])
    data["on_bad_image"] = on_bad_image or data.get("on_bad_image", "stop")
    data["root"] = data.get("root", "") if root is None else root
    classes = tuple(restored.meta["classes"])
    split = "images" if images else split or data["eval_split"]
    source = (
        find_photos(images, classes)
        if images
        else data_pipelines.make_source(
            data, split, reads="views", classes=classes, evaluation=True
        )
    )
    source = part(source, limit or settings.photos or None)
    method = methods.make(config["method"], len(classes))
    predict = jax.jit(method.predict)

    def scored(params, model_state, shown=()):
        found = describe(
            partial(predict, params, model_state),
            views.make_eval(data, source, seed=settings.seed),
            settings.batch_size,
        )
        return score(show_progress(found, len(source), split), shown)

    shown = evenly_spaced(source.ids, settings.gallery)
    maps, drawn = scored(restored.params, restored.model_state, shown)
    random = scored(*_random_state(method, config))[0] if settings.random else {}
    if not maps:
        raise UserError(f"{source.name}: none of its photos can be used")
    summary = {
        "config": config["name"],
        "method": config["method"]["name"],
        "run": str(folder),
        "step": restored.step,
        "split": split,
        "photos": next(iter(maps.values()))["pairs"],
        "crop": data["crop"],
        "maps": maps,
        "random": random,
        "skipped": source.skipped,
    }
    out = Path(export) if export else folder / f"eval-{split}"
    return _write(out, as_json(summary), drawn, folder)


def describe(
    predict: Callable[[dict[str, np.ndarray]], dict[str, Any]],
    examples: Iterable[views.PairExample],
    batch_size: int,
) -> Iterator[tuple[views.PairExample, dict[str, np.ndarray]]]:
    """Each example with the network's maps of its views, [2, h, w, D] by name.

    Args:
        predict: from "image" [B, H, W, 3] and "valid" [B, 4] to maps [B, h, w, D].
        examples: with views of one size.
        batch_size: examples predicted at a time.
    """
    examples = iter(examples)
    while group := list(islice(examples, batch_size)):
        # The last one fills the batch, so that one program serves all.
        rows = group + group[-1:] * (batch_size - len(group))
        image = np.concatenate([example.pair.image for example in rows])
        valid = np.tile(np.int32([0, 0, *image.shape[1:3]]), (len(image), 1))
        maps = jax.device_get(predict({"image": image, "valid": valid}))
        for i, example in enumerate(group):
            yield example, {k: v[2 * i : 2 * i + 2] for k, v in maps.items()}


def score(
    described: Iterable[tuple[views.PairExample, dict[str, np.ndarray]]],
    shown: Sequence[str],
) -> tuple[dict[str, dict[str, Any]], list[pages.Drawn]]:
    """Summaries of `correspondences.alignment` by map, and pictures of the first map.

    Args:
        described: of `describe`.
        shown: ids of examples to draw.
    """
    counts, drawn = {}, []
    for example, maps in described:
        for name in maps:
            found = alignment(name).count(maps, example)
            counts[name] = add_counts(counts.get(name), found)
        if example.id in shown:
            first = next(iter(maps.values()))
            matches = match(*unit(first), *example.pair.box)
            drawn.append(pages.draw(example, matches))
    return {k: alignment(k).summarize(v) for k, v in counts.items()}, drawn


def _random_state(method: Method, config: dict[str, Any]) -> tuple[Any, Any]:
    """Parameters and state of the run's network as drawn, before any file."""
    key, _ = jax.random.split(jax.random.key(config["seed"]))
    crop = config["data"]["crop"]
    spec = {
        "image": jax.ShapeDtypeStruct((1, 2, crop, crop, 3), np.uint8),
        "box": jax.ShapeDtypeStruct((1, 2, 4), np.float32),
    }
    return method.init(key, spec)


def _write(
    out: Path, summary: dict[str, Any], drawn: Sequence[pages.Drawn], folder: Path
) -> dict[str, Any]:
    for tile in drawn:
        export_files.write_file(out / "correspondences" / f"{tile.id}.jpg", tile.jpeg)
    export_files.write_file(
        out / "metrics.json", json.dumps(summary, indent=1).encode()
    )
    report.write_page(
        out / "report.html",
        title=f"{summary['config']} on {summary['split']}",
        lead=pages.lead(summary),
        sections=[
            pages.headline(summary),
            pages.gallery(drawn, summary),
            pages.monitors(summary),
            page.losses(report.read_losses(folder / "metrics.jsonl")),
            page.skipped(summary["skipped"]),
        ],
    )
    print(pages.format_summary(summary))
    print(f"\nreport: {out / 'report.html'}")
    return summary
