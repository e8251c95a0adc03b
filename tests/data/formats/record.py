"""Lets annotation tools write small sets: python -m tests.data.formats.record

Each tool needs its own packages, see recorded/README.md. A set is what the tool wrote,
photos left out, and expected/ID.png: grey masks of the tool's own drawing.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent / "recorded"
SIZES = {"one": (30, 40), "two": (24, 33)}  # rows, columns
NAMES = ("cow", "bolt", "ash tree")  # ids 1, 2, 3
COLOURS = ((0, 0, 0), (250, 50, 83), (61, 61, 245), (52, 209, 183))
# Photo, class id, corners; later ones lie on top.
POLYGONS = (
    ("one", 1, [[3.2, 4.1], [30.7, 2.5], [35.5, 20.25], [18.0, 27.9], [5.6, 18.4]]),
    ("one", 2, [[20, 10], [32, 10], [32, 24], [20, 24]]),
    ("two", 3, [[1.5, 1.5], [31.1, 3.3], [12.2, 12.9], [30.5, 22.5], [2.5, 20.5]]),
    ("two", 1, [[14, 0], [20, 0], [20, 24], [14, 24]]),
)


def ring(shape):
    """A disc with a hole and a loose pixel."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    far = (y - 12) ** 2 + (x - 14) ** 2
    inside = (far <= 81) & (far >= 16)
    inside[0, -1] = True
    return inside


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "expected").mkdir(parents=True)
    return folder


def expect(folder, masks):
    for key, mask in masks.items():
        file = folder / "expected" / f"{key}.png"
        Image.fromarray(mask.astype(np.uint8)).save(file, optimize=True)


def blank(folder, suffix=".jpg"):
    """Photos, which some tools want to be there."""
    files = {}
    for key, shape in SIZES.items():
        files[key] = folder / f"{key}{suffix}"
        Image.new("RGB", shape[::-1]).save(files[key])
    return files


def pycoco_masks(objects):
    """Masks of (photo, class id, polygon or bool mask) by pycocotools."""
    from pycocotools import mask as tool

    masks = {key: np.zeros(shape, np.uint8) for key, shape in SIZES.items()}
    for key, label, shape in objects:
        if isinstance(shape, list):
            runs = tool.frPyObjects([np.ravel(shape).tolist()], *SIZES[key])
            shape = tool.decode(runs).any(-1)
        masks[key][shape > 0] = label
    return masks


def coco_masks(file, names):
    """Masks of a COCO file in the order of its annotations, by pycocotools."""
    from pycocotools.coco import COCO

    opened = COCO(str(file))
    masks = {key: np.zeros(shape, np.uint8) for key, shape in SIZES.items()}
    for row in opened.anns.values():
        photo = opened.imgs[row["image_id"]]["file_name"]
        key = next(key for key in masks if photo.endswith(f"{key}.jpg"))
        label = names.index(opened.cats[row["category_id"]]["name"]) + 1
        masks[key][opened.annToMask(row) > 0] = label
    return masks


def record_pycocotools():
    from pycocotools import mask as tool

    folder = fresh("pycocotools")
    ids = {1: 7, 2: 1, 3: 90}  # so that the order of ids is bolt, cow, ash tree
    numbers = {"one": 9, "two": 25}
    rows = []
    for key, label, corners in POLYGONS:
        runs = tool.merge(tool.frPyObjects([np.ravel(corners).tolist()], *SIZES[key]))
        rows.append((key, label, [np.ravel(corners).tolist()], runs, 0))
    for key, label in (("one", 3), ("two", 2)):
        runs = tool.encode(np.asfortranarray(ring(SIZES[key]).astype(np.uint8)))
        text = {"size": runs["size"], "counts": runs["counts"].decode()}
        rows.append((key, label, text, runs, 0))
    flat = np.zeros(SIZES["one"], bool)
    flat[-5:, :9] = True
    edges = np.flatnonzero(np.diff(np.r_[0, flat.T.ravel(), 0]))
    counts = np.diff(np.r_[0, edges, flat.size]).tolist()
    plain = {"size": list(SIZES["one"]), "counts": counts}
    rows.append(("one", 2, plain, tool.frPyObjects(plain, *SIZES["one"]), 1))
    data = {
        "images": [
            {"id": numbers[k], "file_name": f"{k}.jpg", "height": h, "width": w}
            for k, (h, w) in SIZES.items()
        ],
        "categories": [{"id": ids[i], "name": n} for i, n in enumerate(NAMES, 1)],
        "annotations": [
            {
                "id": number,
                "image_id": numbers[key],
                "category_id": ids[label],
                "segmentation": outline,
                "area": float(tool.area(runs)),
                "bbox": tool.toBbox(runs).tolist(),
                "iscrowd": crowd,
            }
            for number, (key, label, outline, runs, crowd) in enumerate(rows, 1)
        ],
    }
    (folder / "annotations").mkdir()
    file = folder / "annotations/instances_train2017.json"
    file.write_text(json.dumps(data))
    expect(folder, coco_masks(file, ("bolt", "cow", "ash tree")))


def datumaro_set():
    import datumaro as dm

    items = []
    for key, shape in SIZES.items():
        shapes = [
            dm.Polygon(np.ravel(c).tolist(), label=label - 1, z_order=n, group=n + 1)
            for n, (k, label, c) in enumerate(POLYGONS)
            if k == key
        ]
        shapes.append(dm.Mask(ring(shape), label=2, z_order=9, group=9))
        photo = dm.Image.from_numpy(data=np.zeros((*shape, 3), np.uint8), ext=".jpg")
        items.append(
            dm.DatasetItem(id=key, subset="train", media=photo, annotations=shapes)
        )
    return dm.Dataset.from_iterable(items, categories=list(NAMES))


def export_datumaro(name, format_name, keep, **options):
    folder = fresh(name)
    with tempfile.TemporaryDirectory() as place:
        data = datumaro_set()
        data.export(place, format_name, save_media=False, **options)
        for file in sorted(Path(place).rglob("*")):
            if file.is_file() and keep(file):
                target = folder / file.relative_to(place)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    objects = list(POLYGONS)
    objects += [(key, 3, ring(shape)) for key, shape in SIZES.items()]
    expect(folder, pycoco_masks(objects))


def record_datumaro():
    def texts(file):
        return file.suffix in (".json", ".xml", ".txt", ".yaml")

    export_datumaro("datumaro_coco", "coco_instances", texts)
    folder = HERE / "datumaro_coco"
    expect(folder, coco_masks(folder / "annotations/instances_train.json", NAMES))
    export_datumaro("datumaro_cvat", "cvat", texts)
    # A file: of a table datumaro sorts the names, and the first is the background.
    listed = Path(tempfile.mkdtemp()) / "labelmap.txt"
    pairs = zip(("background", *NAMES), COLOURS, strict=True)
    rows = [f"{name}:{','.join(map(str, colour))}::\n" for name, colour in pairs]
    listed.write_text("".join(rows))
    export_datumaro(
        "datumaro_voc",
        "voc_segmentation",
        lambda file: file.suffix in (".txt", ".png", ".xml"),
        label_map=str(listed),
    )
    # It writes masks and leaves polygons out.
    discs = [(key, 3, ring(shape)) for key, shape in SIZES.items()]
    expect(HERE / "datumaro_voc", pycoco_masks(discs))


def record_labelme():
    from labelme import utils
    from labelme._label_file import LabelFile

    folder = fresh("labelme")
    masks = {}
    for key, shape in SIZES.items():
        shapes = [
            {"label": NAMES[label - 1], "points": c, "shape_type": "polygon"}
            for k, label, c in POLYGONS
            if k == key
        ]
        shapes.append(
            {"label": "bolt", "points": [[8, 9], [14, 12]], "shape_type": "circle"}
        )
        box = [[22.4, 3.6], [17.2, 8.5]]
        shapes.append({"label": "cow", "points": box, "shape_type": "rectangle"})
        line = [[0, 0], [5, 9]]
        shapes.append({"label": "cow", "points": line, "shape_type": "linestrip"})
        part = ring(shape)[3:22, 5:24]
        mask = {"label": "ash tree", "points": [[5, 3], [23, 21]]}
        shapes.append({**mask, "shape_type": "mask", "mask": part})
        drawn = [s for s in shapes if s["shape_type"] != "linestrip"]
        ids = {name: i for i, name in enumerate(sorted(NAMES), 1)}
        masks[key] = utils.shapes_to_label(shape, drawn, ids)[0]
        for row in shapes:
            row.setdefault("mask", None)
            row |= {"flags": {}, "group_id": None, "description": ""}
            if row["mask"] is not None:
                row["mask"] = utils.img_arr_to_b64(row["mask"].astype(np.uint8))
        LabelFile().save(
            filename=str(folder / f"{key}.json"),
            shapes=shapes,
            image_path=f"..\\photos\\{key}.jpg",
            image_height=shape[0],
            image_width=shape[1],
            image_data=None,
            other_data={},
            flags={},
        )
    expect(folder, masks)


if __name__ == "__main__":
    record_pycocotools()
    record_datumaro()
    record_labelme()
