"""Masks written for other tools: COCO, YOLO, CVAT, Label Studio, grey PNG.

Each writer is a generator of (path below the export, content), so that whoever calls it
says how files are written.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

from ppcjax.console import plain
from ppcjax.data_pipelines.formats import coco_runs, contours, studio_runs
from ppcjax.data_pipelines.formats.base import BACKGROUND_NAMES, VOID_NAMES, Exported
from ppcjax.data_pipelines.masks.colours import voc_colours
from ppcjax.types import IGNORE, UserError

VOID = "void"
_NOT_IN = {"cvat": ":#,"}  # letters that labelmap.txt has its own use for

Files = Iterator[tuple[str, bytes]]

_GREY = """Grey PNG files whose values are class ids: 0 is the background, i is line i
of classes.txt, counted from 0; 255 is void.

    ids = cv2.imread("masks/ID.png", cv2.IMREAD_UNCHANGED)  # [H, W] uint8
    ids = np.asarray(PIL.Image.open("masks/ID.png"))        # the same

Of a palette PNG, such as those of masks/ beside this folder, OpenCV gives the colours
in the order blue, green, red and never the ids; Pillow gives the ids.
"""
_COCO = """COCO JSON with the runs of each class of a photo. category_id is the class id
of the masks; void, where there is any, is the category "void" (255).
"""
_YOLO = """Labels of YOLO segmentation. Put the photos into images/, under the paths of
labels/, and train with data.yaml.

A row is a connected part of a class along the edges of its pixels; holes are joined to
the outline by slits that cover nothing. Void, where there is any, is the last class.
"""
_CVAT = """The format "Segmentation mask 1.1" of CVAT: make a task of the photos with
the labels of labelmap.txt, pack this folder as a ZIP file, and upload it as
annotations. Void, where there is any, is the label "void".
"""
_STUDIO = """Predictions for Label Studio: make a project with label_config.xml, serve
the photos to it, put the address of their folder before each "image" in tasks.json, and
import that file. Void, where there is any, is the label "void".
"""


def _values(mask: np.ndarray, classes: Mapping[int, str]) -> list[int]:
    """Ids in a mask, without the background."""
    return [i for i in np.unique(mask).tolist() if i in classes or i == IGNORE]


def _named(classes: Mapping[int, str], void: bool) -> dict[int, str]:
    """Names of the ids, that of void too where it occurs."""
    return {**classes, IGNORE: VOID} if void else dict(classes)


def check_names(format_name: str, classes: Mapping[int, str]) -> None:
    """Raises UserError where a class name cannot be written so that it is read again.

    Args:
        format_name: key of WRITERS.
        classes: name of each mask id but the background.
    """
    for name in classes.values():
        bad = any(letter in name for letter in _NOT_IN.get(format_name, ""))
        if bad or not name or name != " ".join(name.split()):
            why = "cannot be written in it"
        elif name.casefold() in (*VOID_NAMES, *BACKGROUND_NAMES):
            why = "would be read as void or background"
        else:
            continue
        raise UserError(
            f"export_format {format_name}: the class name {name!r} {why}; leave that "
            "format out"
        )


def write_grey(photos: Iterable[Exported], classes: Mapping[int, str]) -> Files:
    """Grey PNG files of the ids.

    Args:
        photos: what is written.
        classes: name of each mask id but the background.

    Yields:
        Path below the export, and content.
    """
    for photo in photos:
        yield f"masks/{photo.id}.png", _png(photo.mask())
    names = {0: "background", **classes}
    yield "classes.txt", _lines(names.values())
    yield "README.txt", _GREY.encode()


def write_coco(photos: Iterable[Exported], classes: Mapping[int, str]) -> Files:
    """One file of the masks: runs of each class of a photo.

    The category id is the mask id. Void is a category of its own, "void", where it
    occurs; nothing is written for the background.

    Args:
        photos: what is written.
        classes: name of each mask id but the background.

    Yields:
        Path below the export, and content.
    """
    images, rows, void = [], [], False
    for number, photo in enumerate(photos, 1):
        mask = photo.mask()
        height, width = mask.shape
        image = {"id": number, "file_name": photo.file_name}
        images.append(image | {"width": width, "height": height})
        for value in _values(mask, classes):
            void |= value == IGNORE
            row = {"id": len(rows) + 1, "image_id": number, "category_id": value}
            rows.append(row | _placed(mask == value))
    categories = [
        {"id": key, "name": name} for key, name in _named(classes, void).items()
    ]
    data = {"images": images, "categories": categories, "annotations": rows}
    yield "annotations/instances_default.json", json.dumps(data).encode()
    yield "README.txt", _COCO.encode()


def _placed(inside: np.ndarray) -> dict[str, Any]:
    """The fields of an annotation that say where it is."""
    ys, xs = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    x, y = int(xs[0]), int(ys[0])
    counts = coco_runs.encode(coco_runs.runs(inside))
    return {
        "segmentation": {"size": list(inside.shape), "counts": counts},
        "area": int(inside.sum()),
        "bbox": [x, y, int(xs[-1]) - x + 1, int(ys[-1]) - y + 1],
        "iscrowd": 0,
    }


def write_yolo(photos: Iterable[Exported], classes: Mapping[int, str]) -> Files:
    """A text of outlines for each photo, and data.yaml; ids are counted from 0.

    Args:
        photos: what is written.
        classes: name of each mask id but the background.

    Yields:
        Path below the export, and content.
    """
    void, labels = False, {value: i for i, value in enumerate([*classes, IGNORE])}
    for photo in photos:
        mask, rows = photo.mask(), []
        sides = np.array(mask.shape[::-1], np.float64)
        for value in _values(mask, classes):
            void |= value == IGNORE
            for line in contours.outlines(mask == value):
                numbers = " ".join(f"{v:.9g}" for v in (line / sides).ravel())
                rows.append(f"{labels[value]} {numbers}")
        yield f"labels/{photo.id}.txt", _lines(rows)
    names = _named(classes, void).values()
    # JSON is YAML, whatever is in the names.
    listed = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(names))
    head = "path: .\ntrain: images\nval: images\nnames:\n"
    yield "data.yaml", f"{head}{listed}".encode()
    yield "README.txt", _YOLO.encode()


def write_cvat(photos: Iterable[Exported], classes: Mapping[int, str]) -> Files:
    """Coloured masks in VOC's colours, labelmap.txt and a list of the photos.

    Args:
        photos: what is written.
        classes: name of each mask id but the background.

    Yields:
        Path below the export, and content.
    """
    colours, void, ids = np.array(voc_colours(), np.uint8), False, []
    for photo in photos:
        mask = photo.mask()
        void |= bool((mask == IGNORE).any())
        ids.append(plain.line(photo.id))  # a line each
        yield f"SegmentationClass/{photo.id}.png", _png(colours[mask])
    names = {0: "background", **_named(classes, void)}
    texts = [f"{n}:{','.join(map(str, colours[i]))}::" for i, n in names.items()]
    yield "labelmap.txt", _lines(["# label:color_rgb:parts:actions", *texts])
    yield "ImageSets/Segmentation/default.txt", _lines(ids)
    yield "README.txt", _CVAT.encode()


def write_studio(photos: Iterable[Exported], classes: Mapping[int, str]) -> Files:
    """Tasks with predictions of the brush, and the labelling configuration.

    Args:
        photos: what is written.
        classes: name of each mask id but the background.

    Yields:
        Path below the export, and content.
    """
    tasks, void = [], False
    for photo in photos:
        mask = photo.mask()
        values = _values(mask, classes)
        void |= IGNORE in values
        results = [
            _result(mask == value, classes.get(value, VOID), value) for value in values
        ]
        found = {"model_version": "ppcjax", "result": results}
        tasks.append({"data": {"image": photo.file_name}, "predictions": [found]})
    yield "tasks.json", json.dumps(tasks, separators=(",", ":")).encode()
    names = _named(classes, void).values()
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in names)
    yield (
        "label_config.xml",
        (
            '<View>\n  <Image name="image" value="$image"/>\n  <BrushLabels name="tag" '
            f'toName="image">\n{labels}  </BrushLabels>\n</View>\n'
        ).encode(),
    )
    yield "README.txt", _STUDIO.encode()


def _result(inside: np.ndarray, name: str, value: int) -> dict:
    return {
        "id": f"class{value}",
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": inside.shape[1],
        "original_height": inside.shape[0],
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": studio_runs.encode(inside),
            "brushlabels": [name],
        },
    }


def _lines(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def _png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(content, "PNG")
    return content.getvalue()
