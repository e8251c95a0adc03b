"""Lets annotation tools write small sets: python -m tests.data.formats.record TOOL...

Each tool needs its own packages, see recorded/README.md. A set is what the tool wrote,
photos left out, and expected/ID.png: grey masks of the tool's own drawing.
"""

import ast
import importlib.util
import json
import shutil
import sys
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


def record_pycocotools():
    from pycocotools import mask as tool
    from pycocotools.coco import COCO

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
    opened = COCO(str(file))
    masks = {key: np.zeros(shape, np.uint8) for key, shape in SIZES.items()}
    order = sorted(ids, key=lambda i: ids[i])  # mask ids: by category id
    for row in opened.anns.values():
        key = next(k for k, n in numbers.items() if n == row["image_id"])
        label = next(i for i, n in ids.items() if n == row["category_id"])
        masks[key][opened.annToMask(row) > 0] = order.index(label) + 1
    expect(folder, masks)


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
    export_datumaro("datumaro_cvat", "cvat", texts)
    export_datumaro(
        "datumaro_voc",
        "voc_segmentation",
        lambda file: file.suffix in (".txt", ".png", ".xml"),
        label_map={
            name: [colour, [], []]
            for name, colour in zip(("background", *NAMES), COLOURS, strict=True)
        },
    )


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


def studio_tasks():
    """Tasks as Label Studio exports them; brushes by its own encoder."""
    from label_studio_sdk.converter import brush

    tasks = []
    for number, (key, (height, width)) in enumerate(SIZES.items(), 1):
        common = {
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "from_name": "label",
            "to_name": "image",
            "origin": "manual",
        }
        rows = []
        for n, (k, label, corners) in enumerate(POLYGONS):
            if k == key:
                shares = (np.array(corners) / [width, height] * 100).tolist()
                value = {"points": shares, "closed": True}
                value["polygonlabels"] = [NAMES[label - 1]]
                kind = {"id": f"r{n}", "type": "polygonlabels", "value": value}
                rows.append(common | kind)
        packed = brush.mask2rle(ring((height, width)).astype(np.uint8) * 255)
        value = {"format": "rle", "rle": packed, "brushlabels": ["ash tree"]}
        rows.append(common | {"id": "b", "type": "brushlabels", "value": value})
        image = f"/data/upload/1/0a1b2c3d-{key}.jpg"
        done = {"id": number, "completed_by": 1, "result": rows}
        done |= {"was_cancelled": False, "updated_at": "2025-01-01T00:00:00Z"}
        tasks.append({"id": number, "data": {"image": image}, "annotations": [done]})
    return tasks


def record_labelstudio():
    from label_studio_sdk.converter import Converter, brush

    folder = fresh("labelstudio")
    tasks = studio_tasks()
    (folder / "project-1.json").write_text(json.dumps(tasks, separators=(",", ":")))
    discs = {}
    for key, shape, task in zip(SIZES, SIZES.values(), tasks, strict=True):
        packed = task["annotations"][0]["result"][-1]["value"]["rle"]
        discs[key] = brush.decode_rle(packed).reshape(*shape, 4)[..., 3] > 0
    objects = [*POLYGONS, *((key, 3, disc) for key, disc in discs.items())]
    expect(folder, pycoco_masks(objects))
    config = (
        '<View><Image name="image" value="$image"/><PolygonLabels name="label" '
        'toName="image"><Label value="cow"/><Label value="bolt"/>'
        '<Label value="ash tree"/></PolygonLabels></View>'
    )
    for kind in ("min", "yolo", "coco"):
        out = fresh(f"labelstudio_{kind}")
        rows = json.loads(json.dumps(tasks))
        for task in rows if kind != "min" else ():
            del task["annotations"][0]["result"][-1]  # brushes are left out there
        with tempfile.TemporaryDirectory() as place:
            given, written = Path(place) / "in", Path(place) / "out"
            given.mkdir()
            (given / "tasks.json").write_text(json.dumps(rows))
            tool = Converter(config, str(given), download_resources=False)
            if kind == "min":
                tool.convert_to_json_min(str(given), str(written))
            elif kind == "coco":
                tool.convert_to_coco(str(given), str(written))
            else:
                tool.convert_to_yolo(str(given), str(written))
            for file in sorted(written.rglob("*")):
                if file.is_file() and file.suffix in (".json", ".txt"):
                    target = out / file.relative_to(written)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(file.read_bytes())
        drawn = objects if kind == "min" else POLYGONS
        if kind == "coco":  # the corners as it wrote them
            rows = json.loads((out / "result.json").read_text())["annotations"]
            corners = [row["segmentation"][0] for row in rows]
            drawn = [(*o[:2], c) for o, c in zip(POLYGONS, corners, strict=True)]
        expect(out, pycoco_masks(drawn))


def record_supervision():
    import supervision as sv

    with tempfile.TemporaryDirectory() as place:
        photos = blank(Path(place))
        found = {}
        for key, shape in SIZES.items():
            masks = pycoco_masks([(key, 1, POLYGONS[0][2])])[key] > 0
            corner = np.zeros(shape, bool)
            corner[:3, :9] = True
            masks = np.stack([masks & ~corner, corner])
            boxes = sv.mask_to_xyxy(masks)
            labels = np.array([0, 2])
            found[str(photos[key])] = sv.Detections(
                xyxy=boxes.astype(float), mask=masks, class_id=labels
            )
        data = sv.DetectionDataset(list(NAMES), list(found), found)
        out = fresh("supervision_coco")
        data.as_coco(annotations_path=str(out / "annotations.json"))
        yolo = fresh("supervision_yolo")
        data.as_yolo(
            annotations_directory_path=str(yolo / "labels"),
            data_yaml_path=str(yolo / "data.yaml"),
        )
        voc = fresh("supervision_voc")
        data.as_pascal_voc(annotations_directory_path=str(voc / "Annotations"))
        for folder in (out, yolo, voc):
            expect(
                folder,
                {
                    Path(file).stem: np.where(d.mask[0], 1, d.mask[1] * 3)
                    for file, d in found.items()
                },
            )


def record_ultralytics():
    """Holes joined as it joins parts, and masks as it draws them (two functions)."""
    import cv2

    folder = Path(importlib.util.find_spec("ultralytics").origin).parent
    space = {"np": np, "cv2": cv2}
    for file, names in (
        ("data/converter.py", ("min_index", "merge_multi_segment")),
        ("data/utils.py", ("polygon2mask",)),
    ):
        tree = ast.parse((folder / file).read_text())
        parts = [n for n in tree.body if getattr(n, "name", "") in names]
        exec(
            compile(
                "from __future__ import annotations\n"
                + "\n".join(ast.unparse(n) for n in parts),
                file,
                "exec",
            ),
            space,
        )
    out = fresh("ultralytics")
    masks = {}
    for key, shape in SIZES.items():
        sides = np.array(shape[::-1])
        masks[key], rows = np.zeros(shape, np.uint8), []
        loops, _ = cv2.findContours(
            ring(shape).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
        )
        loops = [c[:, 0].astype(float) for c in loops if len(c) > 2]
        joined = space["merge_multi_segment"]([c.ravel().tolist() for c in loops])
        for label, line in (
            (2, np.concatenate(joined)),
            *((i - 1, np.array(c)) for k, i, c in POLYGONS[:2] if k == key),
        ):
            rows.append(
                f"{label} " + " ".join(f"{v:.6f}" for v in (line / sides).ravel())
            )
            values = np.array(rows[-1].split()[1:], float).reshape(-1, 2) * sides
            drawn = space["polygon2mask"](shape, [values.ravel()])
            masks[key][drawn > 0] = label + 1
        file = out / f"labels/train/{key}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(rows) + "\n")
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))
    (out / "data.yaml").write_text(
        f"path: .\ntrain: images/train\nval: images/train\nnames:\n{names}"
    )
    expect(out, masks)


TOOLS = {
    name.removeprefix("record_"): function
    for name, function in list(globals().items())
    if name.startswith("record_")
}

if __name__ == "__main__":
    for tool in sys.argv[1:] or TOOLS:
        TOOLS[tool]()
