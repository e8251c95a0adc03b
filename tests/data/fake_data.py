"""Tiny data sets on disk, made by code."""

import numpy as np
from PIL import Image

PALETTE = np.random.default_rng(0).integers(0, 256, 768).tolist()


def picture(height=20, width=30, seed=0):
    """[height, width, 3] uint8 without fine detail, so that JPEG hardly changes it."""
    small = np.random.default_rng(seed).integers(0, 256, (2, 3, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def write_image(path, array=None, **size):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = picture(**size) if array is None else array
    Image.fromarray(array).save(
        path, **({"quality": 95} if path.suffix == ".jpg" else {})
    )
    return path


def write_mask(path, mask):
    """A palette PNG, as VOC has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(mask, np.uint8), mode="P")
    image.putpalette(PALETTE)
    image.save(path)
    return path


def striped_mask(ids, height=20, width=30):
    """Vertical stripes of the given ids, void between background and the rest."""
    mask = np.repeat(np.array(ids, np.uint8), -(-width // len(ids)))[:width]
    return np.tile(mask, (height, 1))


def write_voc(root, splits=(("train_aug", 4), ("val", 2))):
    """A VOC2012 folder: image n holds class n + 1 and, if n is odd, a person (15)."""
    number = 0
    for split, count in splits:
        ids = []
        for _ in range(count):
            key = f"2007_{number:06d}"
            ids.append(key)
            write_image(root / "JPEGImages" / f"{key}.jpg", seed=number)
            present = [number + 1] + ([15] if number % 2 else [])
            write_mask(
                root / "SegmentationClassAug" / f"{key}.png",
                striped_mask([0, 255, *present]),
            )
            number += 1
        listed = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("\n".join(ids) + "\n")
    return root


def write_folder(root, tags=("cat", "dog", "cat dog", "dog"), masks=True):
    """ROOT/images/photo_N.jpg with tags.csv, and masks of the tagged classes."""
    ids = {"cat": 1, "dog": 2}
    rows = ["image,tags"]
    for number, row in enumerate(tags):
        name = f"photo_{number}"
        write_image(root / "images" / f"{name}.jpg", seed=number)
        rows.append(f"{name}.jpg,{row}")
        if masks:
            present = [ids[tag] for tag in row.split() if tag in ids]
            write_mask(root / "masks" / f"{name}.png", striped_mask([0, *present]))
    (root / "tags.csv").write_text("\n".join(rows) + "\n")
    return root
