"""The embedded set `shapes` as a source."""

from functools import partial
from typing import Annotated

import numpy as np

from ppcjax.data_pipelines import shapes as generator
from ppcjax.data_pipelines.images import Photo
from ppcjax.data_pipelines.masks import check_ids
from ppcjax.data_pipelines.settings import Folder, MaskIds
from ppcjax.data_pipelines.sources.base import Reading, Record, Source, tags_of_mask
from ppcjax.fields import Range, kinds
from ppcjax.types import UserError

Images = Annotated[kinds.Count, "images"]
SURVEYED = 200  # drawing a scene takes longer than reading a file


def shapes(
    split: str,
    *,
    size: Annotated[int, Range(16, 4096), "pixels"] = 96,
    train_size: Images = 2000,
    val_size: Images = 200,
    test_size: Images = 400,
    scene_seed: kinds.Seed = 0,
    textures: generator.Textures = "any",
    root: Folder = "",
    void: MaskIds = (),
) -> Source:
    """A split of the procedural set; images are kept once they have been drawn.

    Args:
        split: "train", "val" or "test".
        size: side of the square images.
        train_size: images in split train.
        val_size: images in split val.
        test_size: images in split test.
        scene_seed: seed of the set; apart from the seed of the run, so that runs
            with several seeds see the same images.
        textures: whether a tagged body has "any" texture, or that of its "class".
        root: must be empty; the set needs no files.
        void: mask ids that mean IGNORE.
    """
    sizes = {"train": train_size, "val": val_size, "test": test_size}
    if split not in sizes:
        raise UserError(f"no split {split!r} in shapes; use {', '.join(sizes)}")
    if root:
        raise UserError(
            f"config.data.root={root}, but the source shapes reads no files; set "
            "config.data.source to folder or voc"
        )
    ids = tuple(f"{split}_{index:05d}" for index in range(sizes[split]))
    draw = partial(generator.scene, scene_seed, split, textures=textures)
    scene = _kept(draw, size)

    def record(index):
        mask = partial(_mask, scene, index, ids[index], tuple(void))
        return Record(
            ids[index],
            lambda at_least=0: Photo(scene(index)[0], size, size),
            lambda: tags_of_mask(mask(), len(generator.CLASSES)),
            mask,
            lambda: (size, size),
        )

    return Source(
        f"shapes (split {split})",
        generator.CLASSES,
        ids,
        record,
        reading=Reading(
            photos="drawn by a generator",
            classes="of the set",
            tags="from the masks",
            masks="drawn with the photos",
            splits=sizes,
        ),
        tags_by="mask",
        surveyed=SURVEYED,
    )


def _kept(draw, size):
    """A function index -> (image, mask) that draws each scene once."""
    drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def scene(index):
        if index not in drawn:
            drawn[index] = draw(index, size)[:2]
        return drawn[index]

    return scene


def _mask(scene, index, name, void):
    count = len(generator.CLASSES)
    return check_ids(scene(index)[1], name, num_classes=count, void=void)
