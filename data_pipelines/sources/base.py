"""What every source of images is: classes, ids and random access to records."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ppcjax.console import plain
from ppcjax.data_pipelines import headers, images
from ppcjax.data_pipelines.images import Photo
from ppcjax.data_pipelines.masks import Masks
from ppcjax.types import IGNORE, UserError

BACKGROUND = "background"


class Record(NamedTuple):
    """One image, decoded only when asked for.

    id: unique within the source; a relative path without suffix for files.
    photo: (at_least) -> Photo, see images.read_photo.
    tags: () -> [C] float32 in {0, 1}, background 1; None where unknown.
    mask: () -> [H, W] int32 in 0..C-1 or IGNORE; None where there is none.
    size: () -> (height, width) of the photo, upright, without decoding it; None where
        only decoding tells.
    """

    id: str
    photo: Callable[[int], Photo]
    tags: Callable[[], np.ndarray | None]
    mask: Callable[[], np.ndarray | None]
    size: Callable[[], tuple[int, int]] | None = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a source was read: what its maker found, guessed, chose and passed over.

    photos: where photos were looked for, in a few words.
    classes: where the names of the classes come from.
    tags: where tags come from and how they are written.
    masks: where masks were found and how they are read.
    splits: images of each split that is known.
    members: ids of each of them, where the source knows them all.
    held_out: ids that the program itself keeps from training; empty where nothing is
        held out, or the data says what is.
    passed: what was passed over and why -> how many.
    warnings: what was guessed or looks wrong, one line each.
    mask_advice: why masks are missing and where to get them, for errors of runs that
        need them; empty where any will do.
    """

    photos: str = ""
    classes: str = ""
    tags: str = ""
    masks: str = ""
    splits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    passed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mask_advice: str = ""

    @property
    def drawn(self) -> dict[str, tuple[str, ...]]:
        """Ids of the splits that were drawn; empty where nothing is held out."""
        names = ("train", "val") if self.held_out else ()
        return {name: self.members[name] for name in names if name in self.members}


@dataclasses.dataclass(frozen=True)
class Source:
    """A split of a data set.

    name: source and split, for messages.
    classes: names, "background" first but where a data set has none.
    ids: one name per image.
    record: index -> Record.
    untagged: index -> why that image cannot be trained on, where that is known
        without reading it.
    skipped: id -> why an image was left out so far (on_bad_image="skip").
    reading: how it was read.
    tags_by: what is opened for the tags of an image: a "table", which costs little, its
        "mask", whose classes they are, or a "file" as large as an image.
    surveyed: largest number of images that an account of the source opens.
    files: file of each image, by id; empty where images are no files.
    masked: ids of the images that have a mask, where files or annotations tell.
    """

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    record: Callable[[int], Record]
    untagged: Mapping[int, str] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    reading: Reading = Reading()
    tags_by: Literal["table", "mask", "file"] = "table"
    surveyed: int = 2000
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    masked: frozenset[str] = frozenset()

    def __post_init__(self):
        """Raises UserError where a class has a name that no list can hold."""
        for name in self.classes:
            if plain.line(name) != name:
                raise UserError(
                    f"{self.name}: a class is called {plain.line(name)}, with letters "
                    "that are not printed; rename it, or its folder"
                )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)


def check_label_ids(
    label_ids: tuple[int, ...], classes: tuple[str, ...], void: tuple[int, ...]
) -> None:
    """Raises UserError unless there is one id per class, distinct and not void."""
    if label_ids and len(label_ids) != len(classes):
        raise UserError(
            f"config.data.label_ids has {len(label_ids)} ids for the {len(classes)} "
            f"classes {', '.join(classes)}; give one id for each"
        )
    taken = [i for i in label_ids if label_ids.count(i) > 1 or i in (*void, IGNORE)]
    if taken:
        raise UserError(
            f"config.data.label_ids: {taken[0]} is there twice, or means void; give "
            "each class an id of its own"
        )


class Files(NamedTuple):
    """Where the images and masks of a source lie, by id.

    photos: image files.
    masks: masks of those images that have one.
    num_classes: C, background included.
    read: (file, name, at_least) -> Photo, see images.photo_reader.
    """

    photos: Mapping[str, Path]
    masks: Masks
    num_classes: int
    read: Callable[..., Photo] = images.read_photo

    def photo(self, key: str, at_least: int = 0) -> Photo:
        """Reads an image; see images.read_photo."""
        file = self.photos[key]
        return self.read(file, str(file), at_least=at_least)

    def size(self, key: str) -> tuple[int, int]:
        """Height and width of an image, upright, from its header."""
        return headers.read_size(self.photos[key])

    def mask_tags(self, key: str) -> np.ndarray | None:
        """[C] float32, the classes that the mask holds; None without a mask."""
        mask = self.masks.get(key)
        return None if mask is None else tags_of_mask(mask, self.num_classes)

    def record(self, key: str, tags: Callable[[], np.ndarray | None]) -> Record:
        """The record of an image with the given tags."""
        mask, size = partial(self.masks.get, key), partial(self.size, key)
        return Record(key, partial(self.photo, key), tags, mask, size)


def read_tags(source: Source, index: int, mask: np.ndarray | None = None) -> np.ndarray:
    """The tags of an image that training needs.

    Args:
        source: where the image is.
        index: its place.
        mask: mask that is learnt from, too; it tells the tags where nobody else does.

    Returns:
        [C] float32 in {0, 1}.

    Raises:
        UserError: the image has no tag.
    """
    tags = None if index in source.untagged else source.record(index).tags()
    if tags is None and mask is not None:
        return tags_of_mask(mask, len(source.classes))
    if index in source.untagged:
        raise UserError(source.untagged[index])
    if tags is None:
        raise UserError(f"{source.name}: image {source.ids[index]!r} has no tags")
    return tags


def read_checked(record: Record, photo: Photo) -> np.ndarray | None:
    """The mask of a record, which must have the size of its photo.

    Returns:
        [H, W] int32, or None where there is no mask.

    Raises:
        UserError: the sizes differ.
    """
    mask = record.mask()
    if mask is not None and mask.shape != (photo.height, photo.width):
        raise UserError(
            f"the mask of {record.id!r} is {mask.shape[1]}x{mask.shape[0]} pixels but "
            f"its image is {photo.width}x{photo.height} (upright); save the mask at "
            "the size of the image"
        )
    return mask


def tags_of_mask(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Which classes a mask holds; the background column is always 1.

    Args:
        mask: [H, W] int32 in 0..C-1 or IGNORE.
        num_classes: C.

    Returns:
        [C] float32 in {0, 1}.
    """
    counts = np.bincount(mask[mask != IGNORE], minlength=num_classes)
    tags = (counts > 0).astype(np.float32)
    tags[0] = 1
    return tags
