"""Folders as annotation tools export them, with the ids that must come out."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tests.data.scenes import (
    LISTED,
    SORTED,
    VOID,
    Good,
    View,
    halves,
    lines,
    save,
    scene,
    write_photos,
    write_text,
)

Box = tuple[int, int, int, int]


def boxes(view: View) -> list[tuple[int, Box]]:
    """Class and (left, top, right, bottom), in edges of pixels, of each rectangle."""
    found = []
    for half in (slice(0, 12), slice(12, 24)):
        rows, columns = np.nonzero(np.where(view.mask == VOID, 0, view.mask)[:, half])
        if len(rows):
            left, right = columns.min() + half.start, columns.max() + half.start
            corner = view.mask[rows.min(), left]
            box = (left, rows.min(), right + 1, rows.max() + 1)
            found.append((int(corner), tuple(int(v) for v in box)))
    return found


def corners(box: Box) -> list[list[float]]:
    """The corners of a rectangle, in order."""
    left, top, right, bottom = map(float, box)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def bits(view: View, box: Box) -> np.ndarray:
    """[h, w] uint8: 1 in the rectangle."""
    left, top, right, bottom = box
    alone = np.zeros_like(view.mask)
    alone[top:bottom, left:right] = 1
    return alone


def counts(flat: np.ndarray) -> list[int]:
    """Lengths of runs of equal values, of zeros first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]]).astype(int)))
    starts = np.concatenate([[0], edges])
    return np.diff(starts).tolist()


def compressed(runs: list[int]) -> str:
    """COCO's text form of run lengths: base 32, differences to the run before last."""
    text = ""
    for i, run in enumerate(runs):
        value, more = run - (runs[i - 2] if i > 2 else 0), True
        while more:
            part, value = value & 31, value >> 5
            more = value != (-1 if part & 16 else 0)
            text += chr((part | 32 if more else part) + 48)
    return text


def coco_shape(view: View, box: Box, form: str):
    """The field `segmentation` of a rectangle."""
    runs = counts(bits(view, box).T.ravel())
    size = list(view.mask.shape)
    return {
        "polygon": [[v for corner in corners(box) for v in corner]],
        "rle": {"counts": runs, "size": size},
        "compressed": {"counts": compressed(runs), "size": size},
    }[form]


def coco_json(views, form="polygon", ids=(1, 7, 10), end=".jpg") -> dict:
    """One file of COCO with all photos of some views."""
    images, found = [], []
    for number, (name, view) in enumerate(views.items()):
        height, width = view.mask.shape
        entry = {"id": number + 5, "file_name": name + end}
        images.append(entry | {"height": height, "width": width})
        for chosen, box in boxes(view):
            left, top, right, bottom = box
            size = [right - left, bottom - top]
            found.append({
                "id": len(found) + 1, "image_id": number + 5, "iscrowd": 0,
                "category_id": ids[chosen - 1], "bbox": [left, top, *size],
                "area": size[0] * size[1],
                "segmentation": coco_shape(view, box, form),
            })  # fmt: skip
    names = [
        {"id": i, "name": name, "supercategory": "thing"}
        for i, name in zip(ids, LISTED, strict=True)
    ]
    return {"images": images, "annotations": found, "categories": names}


def coco(root, form="polygon"):
    """SPLIT2017/ beside annotations/instances_SPLIT2017.json."""
    views = scene(11, void=False)
    splits = {f"{split}2017": names for split, names in halves(views).items()}
    for split, names in splits.items():
        part = {name: views[name] for name in names}
        write_photos(root / split, part, ".jpg")
        text = json.dumps(coco_json(part, form))
        write_text(root / f"annotations/instances_{split}.json", text)
    return Good(root, ("background", *LISTED), views, splits)


def coco_one_file(root, name="_annotations.coco.json", photos=""):
    """All photos in one folder, and one file."""
    views = scene(12, void=False)
    write_photos(root / photos, views, ".jpg")
    write_text(root / name, json.dumps(coco_json(views)))
    return Good(root, ("background", *LISTED), views, {"all": tuple(views)})


def coco_in_splits(root):
    """SPLIT/photos with a file in each."""
    views = scene(13, void=False)
    splits = dict(zip(("train", "valid"), halves(views).values(), strict=True))
    for split, names in splits.items():
        part = {name: views[name] for name in names}
        write_photos(root / split, part, ".jpg")
        text = json.dumps(coco_json(part))
        write_text(root / split / "_annotations.coco.json", text)
    return Good(root, ("background", *LISTED), views, splits)


def yolo(root, named="list"):
    """images/SPLIT and labels/SPLIT with polygons, names in data.yaml."""
    views = scene(14, void=False)
    for split, names in halves(views).items():
        for name in names:
            height, width = views[name].mask.shape
            rows = []
            for chosen, box in boxes(views[name]):
                points = np.array(corners(box)) / (width, height)
                numbers = " ".join(f"{v:.6f}" for v in points.ravel())
                rows.append(f"{chosen - 1} {numbers}")
            save(root / f"images/{split}/{name}.jpg", views[name].photo)
            write_text(root / f"labels/{split}/{name}.txt", lines(rows))
    names = {
        "list": f"names: [{', '.join(LISTED)}]\n",
        "dict": "names:\n" + lines(f"  {i}: {n}" for i, n in enumerate(LISTED)),
        "dashes": "names:\n" + lines(f"- {n}" for n in LISTED),
    }[named]
    text = f"path: .\ntrain: images/train\nval: images/val\nnc: 3\n{names}"
    write_text(root / "data.yaml", text)
    return Good(root, ("background", *LISTED), views, halves(views))


def labelme(root, kind="polygon", photos=""):
    """A JSON file beside each photo; the tool draws the pixels of the corners, too."""
    views = scene(15, void=False)
    write_photos(root / photos, views, ".jpg")
    for name, view in views.items():
        height, width = view.mask.shape
        shapes = [
            {
                "label": SORTED[chosen - 1], "shape_type": kind, "flags": {},
                "points": corners((left, top, right - 1, bottom - 1))[
                    :: 2 if kind == "rectangle" else 1
                ],
                "group_id": None,
            }
            for chosen, (left, top, right, bottom) in boxes(view)
        ]  # fmt: skip
        text = json.dumps({
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imageData": None,
            "imagePath": f"{name}.jpg", "imageHeight": height, "imageWidth": width,
        })  # fmt: skip
        write_text(root / photos / f"{name}.json", text)
    return Good(root, ("background", *SORTED), views, {"all": tuple(views)},
                masks=kind != "rectangle")  # fmt: skip


def brush(alone: np.ndarray) -> list[int]:
    """Label Studio's run lengths of RGBA bytes, as the bytes of its bit stream."""
    flat = np.repeat(alone.ravel() * 255, 4).tolist()
    sizes = (3, 4, 8, 16)
    out = f"{len(flat):032b}" + f"{8 - 1:05b}" + "".join(f"{s - 1:04b}" for s in sizes)
    start = 0
    while start < len(flat):
        end = start
        while end < len(flat) and flat[end] == flat[start] and end - start < 2**16:
            end += 1
        length = end - start - 1
        which = next(i for i, size in enumerate(sizes) if length < 2**size)
        out += f"1{which:02b}{length:0{sizes[which]}b}{flat[start]:08b}"
        start = end
    out += "0" * (-len(out) % 8)
    return [int(out[i : i + 8], 2) for i in range(0, len(out), 8)]


def label_studio(root, name="project-1-at-2024-05-01.json"):
    """An export with brush strokes, whose photos have a prefix from the upload."""
    views = scene(16, void=False)
    write_photos(root, views, ".jpg")
    tasks = []
    for number, (key, view) in enumerate(views.items()):
        height, width = view.mask.shape
        result = [
            {
                "original_width": width, "original_height": height,
                "image_rotation": 0, "id": f"r{number}_{box[0]}", "type": "brushlabels",
                "from_name": "tag", "to_name": "image", "origin": "manual",
                "value": {"format": "rle", "rle": brush(bits(view, box)),
                          "brushlabels": [SORTED[chosen - 1]]},
            }
            for chosen, box in boxes(view)
        ]  # fmt: skip
        data = {"image": f"/data/upload/1/0a1b2c3{number}-{key}.jpg"}
        tasks.append({"id": number, "annotations": [{"result": result}], "data": data})
    write_text(root / name, json.dumps(tasks))
    return Good(root, ("background", *SORTED), views, {"all": tuple(views)})


def voc_xml(root):
    """JPEGImages with Annotations/*.xml: tags of own classes, no masks."""
    views = scene(17, void=False, empty=False)
    write_photos(root / "JPEGImages", views, ".jpg")
    for name, view in views.items():
        objects = "".join(
            f"<object><name>{SORTED[chosen - 1]}</name><bndbox><xmin>{left}</xmin>"
            f"<ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>"
            "</object>"
            for chosen, (left, top, right, bottom) in boxes(view)
        )
        head = f"<annotation><filename>{name}.jpg</filename>"
        write_text(root / f"Annotations/{name}.xml", f"{head}{objects}</annotation>")
    everything = {"all": tuple(views)}
    return Good(root, ("background", *SORTED), views, everything, masks=False)


FORMATS: dict[str, Callable[[Path], Good]] = {
    "coco": coco,
    "coco_rle": partial(coco, form="rle"),
    "coco_compressed": partial(coco, form="compressed"),
    "coco_one_file": coco_one_file,
    "coco_result": partial(coco_one_file, name="result.json", photos="images"),
    "coco_in_splits": coco_in_splits,
    "yolo": yolo,
    "yolo_dict": partial(yolo, named="dict"),
    "yolo_dashes": partial(yolo, named="dashes"),
    "labelme": labelme,
    "labelme_rectangle": partial(labelme, kind="rectangle"),
    "labelme_images": partial(labelme, photos="images"),
    "label_studio": label_studio,
    "voc_xml": voc_xml,
}
