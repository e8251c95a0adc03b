"""Image-level tags as vectors, and those of VOC annotations."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.images import SKIP
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.words import clean, same
from ppcjax.types import UserError


def read_annotation(file: Path) -> tuple[str, ...]:
    """The class names of all objects in a VOC XML file, difficult ones included."""
    try:
        names = [n.text for n in ElementTree.parse(file).iterfind("object/name")]
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise UserError(
            f"{file}: cannot be read as a VOC annotation ({why}); unpack Annotations "
            "again, or set config.data.tags=masks"
        ) from error
    return tuple(dict.fromkeys(n for n in map(clean, filter(None, names)) if n))


def encode(names: tuple[str, ...], classes: tuple[str, ...], where: str) -> np.ndarray:
    """Tag names as a vector; the tag "background" stands for none of the classes.

    Returns:
        [C] float32 in {0, 1}; the background column is 1.

    Raises:
        UserError: a name is no class; the message begins with `where`.
    """
    vector = np.zeros(len(classes), np.float32)
    vector[0] = 1
    for name in names:
        if name not in classes:
            meant = next((c for c in classes if same(c) == same(name)), None)
            more = f" and {len(classes) - 21} more" if len(classes) > 21 else ""
            known = f"the classes are {', '.join(classes[1:21])}{more}"
            advice = f"{known} (or {BACKGROUND} for none of them)"
            if meant is not None:
                advice = f"the class is spelled {meant!r}; write it so"
            raise UserError(f"{where}: unknown tag {name!r}; {advice}")
        vector[classes.index(name)] = 1
    return vector


def encode_all(
    names: Mapping[str, tuple[str, ...]] | None,
    ids: tuple[str, ...],
    classes: tuple[str, ...],
    where: str,
) -> tuple[list[np.ndarray | None], dict[int, str]]:
    """Tag vectors of all images, and the images without a tag.

    Args:
        names: tags by image id; None where there is no table at all.
        ids: the images.
        classes: names, background first.
        where: the table, for errors.

    Returns:
        One [C] float32 vector or None per image, and index -> error for images that
        the table gives no tag.
    """
    if names is None:
        return [None] * len(ids), {}
    vectors: list[np.ndarray | None] = []
    untagged = {}
    for index, key in enumerate(ids):
        image = f"{where}: image {key!r}"
        known = key in names
        vectors.append(encode(names[key], classes, image) if known else None)
        if not names.get(key):
            untagged[index] = (
                f"{image} has no tag; give it one ({BACKGROUND} if it shows none of "
                f"the classes), remove it{SKIP}"
            )
    return vectors, untagged
