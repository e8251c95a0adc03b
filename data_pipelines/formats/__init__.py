"""Annotations of other tools: read as tags and masks, and written from masks.

A format is a module with `find`, or `write`, or both, and a line in READERS or WRITERS.
`find` looks for its files below a folder and gives what they say of the photos there;
`write` gives the files of an export. docs/formats.md says how each is read.

base       what formats share: regions of photos, and masks of regions
names      how files name photos
parsing    files of strangers, and their values
raster     outlines and runs as pixels
contours   pixels as outlines
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ppcjax.data_pipelines.formats import (
    coco,
    cvat,
    exports,
    label_studio,
    labelme,
    voc_xml,
    yolo,
)
from ppcjax.data_pipelines.formats.base import Annotations, Exported
from ppcjax.data_pipelines.formats.exports import check_names
from ppcjax.data_pipelines.formats.names import Unusable

__all__ = ["READERS", "WRITERS", "Annotations", "Exported", "check_names", "find"]

# In the order in which they count where files of several are there.
READERS: dict[str, Callable[[Path, Mapping[str, Path]], Annotations | None]] = {
    "coco": coco.find,
    "cvat": cvat.find,
    "labelstudio": label_studio.find,
    "labelme": labelme.find,
    "yolo": yolo.find,
    "voc": voc_xml.find,
}

# (photos, name of each mask id but the background) -> path below the export, content.
WRITERS: dict[
    str, Callable[[Iterable[Exported], Mapping[int, str]], Iterator[tuple[str, bytes]]]
] = {
    "coco": exports.write_coco,
    "yolo": exports.write_yolo,
    "cvat": exports.write_cvat,
    "labelstudio": exports.write_studio,
    "png_grey": exports.write_grey,
}


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The annotations of the first format that is there; None where there is none.

    Formats count in the order of READERS, and only where they name a photo that is
    there. What further ones there are is said in the warnings.

    Args:
        root: folder of the data set.
        photos: image files below it, by id (path below the root, or below its image
            folder, without suffix).

    Raises:
        UserError: a file of a format is damaged, or names no photo that is there while
            no other does.
    """
    found, strangers = [], []
    for reader in READERS.values():
        try:
            annotations = reader(root, photos)
        except Unusable as error:
            strangers.append(error)
            continue
        if annotations is not None:
            found.append(annotations)
    if not found:
        if strangers:
            raise strangers[0]
        return None
    first, *others = found
    more = [f"{other.text}: not read, as {first.text} is there" for other in others]
    more += [f"not read: {error}" for error in strangers]
    return first._replace(warnings=(*first.warnings, *more))
