"""Data sets of made photos, with the sizes and layouts of the published ones.

The photos are smooth noise of all sizes with a fine grain, whose files are as large as
those of real photos: what decoding costs goes by the bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ppcjax.data_pipelines.sources.cityscapes import LABEL_IDS
from ppcjax.data_pipelines.sources.voc import CLASSES

VOC = (375, 500)  # rows and columns, the commonest size there and of ImageNet
STREETS = (1024, 2048)
PHONE = (3024, 4032)
# Strength of the grain in grey levels, by size and kind of file.
GRAIN = {(VOC, ".jpg"): 20.0, (STREETS, ".png"): 2.0, (STREETS, ".jpg"): 6.0}


def field(rng: np.random.Generator, size: Sequence[int], cells: int) -> np.ndarray:
    """Smooth noise [H, W] float32 in 0 to 1 of so many cells along each side."""
    small = rng.random((cells, cells)).astype(np.float32)
    rows, columns = size
    return np.asarray(Image.fromarray(small).resize((columns, rows), Image.BICUBIC))


def photo(
    rng: np.random.Generator, size: Sequence[int], suffix: str = ".jpg"
) -> np.ndarray:
    """A made photo [H, W, 3] uint8, for a file of that kind."""
    grey = sum(field(rng, size, n) / k for k, n in enumerate((4, 16, 64), start=1))
    colour = np.stack([field(rng, size, 5) for _ in range(3)], -1)
    levels = 70 * grey[..., None] + 110 * colour
    grain = rng.standard_normal((*size, 1), np.float32)
    grain *= GRAIN.get((tuple(size), suffix), 8.0)
    return np.clip(levels + grain, 0, 255).astype(np.uint8)


def mask(rng: np.random.Generator, size: Sequence[int], ids) -> np.ndarray:
    """A made mask [H, W] uint8 that shows regions of these ids."""
    fields = np.stack([field(rng, size, 4) for _ in ids])
    return np.asarray(ids, np.uint8)[np.argmax(fields, axis=0)]


def save(path: Path, array: np.ndarray) -> None:
    """Writes a photo or a mask; a JPEG of quality 90."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(
        path, **({"quality": 90} if path.suffix != ".png" else {})
    )


def write_voc(root: Path, count: int = 64) -> dict[str, str]:
    """VOC 2012 with tags, masks and saliency maps; fields of config.data."""
    rng, rows, ids = np.random.default_rng(0), ["image,tags"], []
    for number in range(count):
        key = f"2007_{number:06d}"
        shown = [(3 * number + k) % 20 + 1 for k in range(3)]
        save(root / "JPEGImages" / f"{key}.jpg", photo(rng, VOC))
        save(root / "SegmentationClassAug" / f"{key}.png", mask(rng, VOC, [0, *shown]))
        save(root / "saliency" / f"{key}.png", mask(rng, VOC, [0, 255]))
        rows.append(f"{key}.jpg,{' '.join(CLASSES[i] for i in shown)}")
        ids.append(key)
    (root / "tags.csv").write_text("\n".join(rows) + "\n")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train_aug", "val"):
        (lists / f"{split}.txt").write_text("\n".join(ids) + "\n")
    return {"root": str(root)}


def write_eps(root: Path) -> dict[str, str]:
    """The same with the folder of saliency maps; fields of config.data."""
    return write_voc(root) | {"saliency": str(root / "saliency")}


def write_imagenet(root: Path, count: int = 64) -> dict[str, str]:
    """ImageNet's folder of one class; fields of config.data."""
    rng = np.random.default_rng(0)
    for number in range(count):
        save(root / "train" / "n01440764" / f"{number}.JPEG", photo(rng, VOC))
    return {"root": str(root)}


def write_streets(root: Path, count: int = 6) -> dict[str, str]:
    """Cityscapes, whose photos are PNG; fields of config.data."""
    rng = np.random.default_rng(0)
    for number in range(count):
        name = f"town/town_{number:06d}_000019"
        image = root / "leftImg8bit" / "train" / f"{name}_leftImg8bit.png"
        save(image, photo(rng, STREETS, ".png"))
        labels = root / "gtFine" / "train" / f"{name}_gtFine_labelIds.png"
        save(labels, mask(rng, STREETS, LABEL_IDS))
    return {"root": str(root)}


def write_folder(
    root: Path, size: Sequence[int], count: int, *, tags: bool = True
) -> dict[str, str]:
    """A user's folder of JPEGs with tags.csv or masks; fields of config.data.

    Args:
        root: the folder.
        size: rows and columns of the photos.
        count: number of photos.
        tags: whether it has tags, or masks.
    """
    rng, rows = np.random.default_rng(0), ["image,tags"]
    for number in range(count):
        name = f"photo_{number}"
        save(root / f"{name}.jpg", photo(rng, size))
        rows.append(f"{name}.jpg,{('cat', 'dog')[number % 2]}")
        if not tags:
            save(root / "masks" / f"{name}.png", mask(rng, size, [0, 1, 2]))
    if tags:
        (root / "tags.csv").write_text("\n".join(rows) + "\n")
    else:
        (root / "classes.txt").write_text("cat\ndog\n")
    return {"root": str(root)}
