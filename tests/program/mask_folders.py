"""Folders of masks, the same in every layout."""

import numpy as np
from PIL import Image

from ppcjax.report.palette import voc_palette


def masks():
    """Two masks of a cat (1) and a dog (2)."""
    first = np.zeros((30, 40), np.uint8)
    first[5:20, 5:20], first[10:25, 22:35] = 1, 2
    return {"a": first, "b": np.roll(first, 2, 1)}


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def folder(root, pixels=None, suffix=".png", names=""):
    """A folder of masks; returns where."""
    for key, mask in (masks() if pixels is None else pixels).items():
        write(root / f"{key}{suffix}", mask)
    if names:
        (root / "classes.txt").write_text(names)
    return root


def in_palette(root):
    for key, mask in masks().items():
        image = Image.fromarray(mask)
        image.putpalette(voc_palette().tobytes())
        (root / "SegmentationClass").mkdir(parents=True, exist_ok=True)
        image.save(root / "SegmentationClass" / f"{key}.png")
    for key in "abc":
        write(root / "JPEGImages" / f"{key}.jpg", np.zeros((30, 40, 3), np.uint8))


def in_colour(root):
    table = np.array([[0, 0, 0], [250, 50, 83], [1, 2, 3]], np.uint8)
    folder(root, {key: table[mask] for key, mask in masks().items()})
    (root / "labelmap.txt").write_text(
        "background:0,0,0::\ncat:250,50,83::\ndog:1,2,3::\n"
    )


def of_classes(root):
    for key, mask in masks().items():
        for value, name in ((1, "cat"), (2, "dog")):
            shown = ((mask == value) * 255).astype(np.uint8)
            write(root / "masks" / name / f"{key}.png", shown)


def export(root):
    folder(root / "masks")
    for key in "ab":
        write(root / "overlays" / f"{key}.jpg", np.zeros((30, 40, 3), np.uint8))
        write(root / "labels" / f"{key}.png", np.zeros((30, 40), np.uint8))
    (root / "classes.txt").write_text("background\ncat\ndog\n")
    (root / "provenance.json").write_text("{}")


def cityscapes(root):
    for key, mask in masks().items():
        city = root / "gtFine" / "val" / "bonn"
        write(city / f"{key}_gtFine_labelIds.png", mask + 7)
        write(city / f"{key}_gtFine_labelTrainIds.png", mask)
        write(city / f"{key}_gtFine_color.png", np.zeros((30, 40, 4), np.uint8))


LAYOUTS = {
    "plain": folder,
    "tiff": lambda root: folder(root, suffix=".tiff"),
    "npy": lambda root: folder(root, suffix=".npy"),
    "bits16": lambda root: folder(
        root, {key: mask.astype(np.uint16) for key, mask in masks().items()}
    ),
    "named": lambda root: folder(
        root / "gt", {f"{k}_mask": m for k, m in masks().items()}
    ),
    "other": lambda root: folder(root, {f"{k}_pred": m for k, m in masks().items()}),
    "deeper": lambda root: folder(root / "val", names=""),
    "voc": in_palette,
    "colour": in_colour,
    "per_class": of_classes,
    "export": export,
    "cityscapes": cityscapes,
    "as_photos": lambda root: folder(
        root, {f"{key}_leftImg8bit": mask for key, mask in masks().items()}
    ),
}
