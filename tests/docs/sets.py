"""Tiny data sets in the layouts that pages speak of, made by code."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.fake_data import write_image, write_mask

SIDE = (40, 48)  # rows and columns, pixels
PHOTOS = 8  # of each class


def photo(number: int, shown: Sequence[int]) -> np.ndarray:
    """A photo [H, W, 3] uint8 whose upright stripes have the colours of classes."""
    noise = np.random.default_rng(number).integers(0, 60, (*SIDE, 3), np.uint8)
    ids = mask(shown)
    colours = np.random.default_rng(7).integers(60, 196, (256, 3), np.uint8)
    return noise + colours[ids]


def mask(shown: Sequence[int]) -> np.ndarray:
    """Its mask [H, W] uint8: background at the left, then a stripe for each class."""
    stripes = np.array([0, *shown], np.uint8)
    columns = np.arange(SIDE[1]) * len(stripes) // SIDE[1]
    return np.tile(stripes[columns], (SIDE[0], 1))


def contents(classes: int, first: int = 1) -> list[list[int]]:
    """Class ids that each photo of a set shows: alone, and in pairs."""
    ids = range(first, first + classes)
    alone = [[i] for _ in range(PHOTOS) for i in ids]
    pairs = [[i, j] for i, j in zip(ids, ids[1:], strict=False)]
    return alone + pairs


def write_photos(folder: Path, classes: int = 2, count: int = 3) -> None:
    """A folder of photos and nothing else."""
    for number, shown in enumerate(contents(classes)[:count]):
        write_image(folder / f"photo_{number}.jpg", photo(number, shown))


def write_folder(
    folder: Path, classes: Sequence[str], *, masks: bool, splits: Sequence[str] = ()
) -> None:
    """Photos with tags.csv, and on request masks and lists of splits.

    Args:
        folder: the set; what is there stays.
        classes: names of the classes beside the background.
        masks: whether there are masks, and classes.txt.
        splits: names of splits that are no usual ones.
    """
    rows = ["image,tags"]
    found = contents(len(classes))
    for number, shown in enumerate(found):
        name = f"photo_{number}"
        write_image(folder / f"{name}.jpg", photo(number, shown))
        rows.append(f"{name}.jpg,{' '.join(classes[i - 1] for i in shown)}")
        if masks:
            write_mask(folder / "masks" / f"{name}.png", mask(shown))
    (folder / "tags.csv").write_text("\n".join(rows) + "\n")
    if masks:
        (folder / "classes.txt").write_text("\n".join(classes) + "\n")
    if splits:
        (folder / "splits").mkdir(exist_ok=True)
        for split in {"train", "val", *splits}:
            lines = "\n".join(f"photo_{n}" for n in range(len(found)))
            (folder / "splits" / f"{split}.txt").write_text(lines + "\n")


def write_examples(folder: Path, classes: Sequence[str]) -> None:
    """Masked examples for few-shot, five of each class."""
    for number, shown in enumerate(contents(len(classes))[: 5 * len(classes)]):
        write_image(folder / f"photo_{number}.jpg", photo(number, shown))
        write_mask(folder / "masks" / f"photo_{number}.png", mask(shown))
    (folder / "classes.txt").write_text("\n".join(classes) + "\n")


def write_voc(folder: Path, splits: Sequence[str]) -> None:
    """A VOC 2012 folder in which each list has photos of all twenty classes.

    train_aug has some that are in no other.
    """
    ids = []
    for number, shown in enumerate([[i] for i in range(1, 21)] * 4):
        key = f"2007_{number:06d}"
        ids.append(key)
        write_image(folder / "JPEGImages" / f"{key}.jpg", photo(number, shown))
        write_mask(folder / "SegmentationClassAug" / f"{key}.png", mask(shown))
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    for split in ("train_aug", "train", "val", *splits):
        listed = ids if split == "train_aug" else ids[:60]
        (lists / f"{split}.txt").write_text("\n".join(listed) + "\n")


def write_streets(folder: Path, classes: int) -> None:
    """A folder as CamVid's, with photos and masks of each split apart.

    Args:
        folder: the set.
        classes: number of classes, of which 0 is one.
    """
    for split in ("train", "val", "test"):
        for number, shown in enumerate(([1, 2], list(range(1, classes)))):
            name = f"{split}_{number}.png"
            write_image(folder / split / "images" / name, photo(number, shown))
            write_mask(folder / split / "masks" / name, mask(shown))


def write_cityscapes(folder: Path, splits: Sequence[str]) -> None:
    """A Cityscapes folder of one city for each split, two photos of which it has."""
    for split in ("train", "val", *splits):
        for number in range(2):
            name = f"town_{number:06d}_000019"
            place = Path(split) / "town"
            image = photo(number, [7, 26])
            write_image(
                folder / "leftImg8bit" / place / f"{name}_leftImg8bit.png", image
            )
            write_mask(
                folder / "gtFine" / place / f"{name}_gtFine_labelIds.png", mask([7, 26])
            )


def write_imagenet(folder: Path, splits: Sequence[str]) -> None:
    """An ImageNet folder: a sub-folder for each class, below each split."""
    for split in ("train", "val", *splits):
        for number, name in enumerate(("n01440764", "n01443537")):
            for copy in range(2):
                image = photo(number + 2 * copy, [number + 1])
                write_image(folder / split / name / f"{name}_{copy}.JPEG", image)


def write_imagenet_archives(folder: Path) -> None:
    """The two archives of ImageNet, with two photos in each."""
    folder.mkdir(parents=True, exist_ok=True)

    def jpeg(number: int) -> bytes:
        content = io.BytesIO()
        Image.fromarray(photo(number, [1])).save(content, "JPEG")
        return content.getvalue()

    def pack(file, members: dict[str, bytes]) -> None:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    inner = io.BytesIO()
    pack(inner, {f"n01440764_{n}.JPEG": jpeg(n) for n in range(2)})
    with (folder / "ILSVRC2012_img_train.tar").open("wb") as file:
        pack(file, {"n01440764.tar": inner.getvalue()})
    with (folder / "ILSVRC2012_img_val.tar").open("wb") as file:
        names = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2)]
        pack(file, {name: jpeg(n) for n, name in enumerate(names)})
