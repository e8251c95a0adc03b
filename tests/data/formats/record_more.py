"""As record.py, for tools of outlines: python -m tests.data.formats.record_more."""

import ast
import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np

from tests.data.formats.record import (
    NAMES,
    POLYGONS,
    SIZES,
    blank,
    coco_masks,
    expect,
    fresh,
    pycoco_masks,
    ring,
)


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
        if kind == "coco":
            expect(out, coco_masks(out / "result.json", NAMES))
        else:
            expect(out, pycoco_masks(objects if kind == "min" else POLYGONS))


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


if __name__ == "__main__":
    record_labelstudio()
    record_supervision()
    record_ultralytics()
