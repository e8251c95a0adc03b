"""The memory of patches of masked photos that others are compared with."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ppcjax import data_pipelines
from ppcjax.console.loops import show_progress
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.subset import part, take
from ppcjax.evaluate.masks.thresholds import has_masks
from ppcjax.evaluate.neighbours.cells import Describe, Grid, chosen, labels_of
from ppcjax.runs import Run
from ppcjax.types import UserError

T = TypeVar("T")


class Memory(NamedTuple):
    """Patches of masked photos.

    features: [N, D] float32, what the network says of each.
    labels: [N, C] float32, shares of the classes in each.
    ids: names of the photos that they are of.
    """

    features: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]

    def identity(self) -> bytes:
        """What tells it from another memory that the same network makes."""
        return "\0".join(self.ids).encode() + self.labels.tobytes()


def photos_of(
    run: Run, data: Mapping[str, Any], split: str, most: int, queried: Iterable[str]
) -> Source:
    """The photos that are remembered.

    A photo that is asked about is not among them: it would find itself.

    Args:
        run: network that is evaluated.
        data: config.data.
        split: name of the split.
        most: largest number of photos, evenly spaced; 0: all.
        queried: ids of the photos that are asked about.

    Raises:
        UserError: no photo with a mask is left.
    """
    source = data_pipelines.make_source(
        data, split, classes=run.classes, lists=run.lists
    )
    queried = set(queried)
    others = [i for i, name in enumerate(source.ids) if name not in queried]
    if not others:
        raise UserError(
            f"{source.name}: all its photos are asked about, so that none is left to "
            "compare them with; name another --split or --memory_split"
        )
    source = part(take(source, others), most or None)
    if not has_masks(source):
        raise UserError(
            f"{source.name}: none of its photos has a mask; the memory is made of "
            "patches whose classes are known"
        )
    return source


def remember(
    source: Source,
    data: Mapping[str, Any],
    describe: Describe,
    grid: Grid,
    *,
    patches: int,
    batch_size: int,
    seed: int,
) -> Memory:
    """Patches of all photos of a source that have a mask, of each as many.

    Which of a photo's patches are taken depends on its name and the seed alone.

    Args:
        source: the photos.
        data: config.data.
        describe: asks the network, see `cells.describer`.
        grid: how photos are cut.
        patches: largest number of all patches.
        batch_size: photos at a time.
        seed: number that decides which patches are taken.

    Raises:
        UserError: there are fewer patches than photos, or no pixel has a class.
    """
    each = patches // len(source)
    if not each:
        raise UserError(
            f"--memory={patches}: fewer patches than the {len(source)} photos of "
            f"{source.name}; give more, or lower --memory_photos"
        )
    examples = (e for e in data_pipelines.make_eval(data, source) if e.mask is not None)

    def found() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for group in groups(examples, batch_size):
            maps = np.asarray(describe(group))
            for example, cells in zip(group, maps, strict=False):
                labels = labels_of(example.mask, grid, len(source.classes))
                rng = np.random.default_rng((seed, zlib.crc32(example.id.encode())))
                kept = chosen(labels, each, rng)
                cells = cells.reshape(len(labels), -1)
                yield example.id, cells[kept], labels[kept]

    shown = show_progress(
        found(),
        len(source),
        f"remembering {source.name}",
        unit="photos",
        compiles="the network",
    )
    ids, features, labels = zip(*shown, strict=True)
    memory = Memory(np.concatenate(features), np.concatenate(labels), ids)
    if not len(memory.labels):
        raise UserError(f"{source.name}: no pixel of its masks has a class")
    return memory


def groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last one may be shorter."""
    items = iter(items)
    while group := list(islice(items, size)):
        yield group
