"""Writes one mask in every form that tools write."""

import numpy as np
from PIL import Image

from ppcjax.report.palette import voc_palette

VOC = voc_palette()
OWN = ((0, 0, 0), (250, 50, 83), (61, 61, 245), (255, 204, 51))  # of an annotation tool


def stripes(*values, height=9, width=24):
    """[height, width] uint8 of upright stripes, a dot of the last value in a corner."""
    mask = np.array(values, np.uint8)[np.arange(width) * len(values) // width]
    mask = np.tile(mask, (height, 1))
    mask[0, 0] = values[-1]
    return mask


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def grey(path, ids, mode="L", **options):
    """A grey picture of the ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        image = Image.fromarray(ids.astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray(ids.astype(np.int32))
    elif mode == "F":
        image = Image.fromarray(ids.astype(np.float32))
    else:
        image = Image.fromarray(ids).convert(mode)
    return save(path, image, **options)


def palette(path, ids, colours=VOC, **options):
    """A palette picture whose indices are the ids."""
    image = Image.fromarray(ids, mode="P")
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    image.putpalette(table.tobytes())
    return save(path, image, **options)


def colour(path, ids, colours, mode="RGB", **options):
    """A picture that has the colour of each id; void is VOC's."""
    table = np.tile(np.uint8(VOC[255]), (256, 1))
    table[: len(colours)] = colours
    return save(path, Image.fromarray(table[ids]).convert(mode), **options)


def array(path, ids, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    write = np.savez if path.suffix == ".npz" else np.save
    write(path, ids.astype(dtype))
    return path
