"""Files of annotation tools, damaged or written in another way."""

import json

from tests.data.mutations.base import Outcome, Table

ANNOTATIONS = Table()
COCO = ("coco", "coco_rle", "coco_compressed", "coco_one_file", "coco_in_splits")
YOLO = ("yolo", "yolo_dict", "yolo_dashes")
LABELME = ("labelme", "labelme_rectangle", "labelme_images")
STUDIO = ("label_studio",)
JSON = (*COCO, *LABELME, *STUDIO)


def _file(place, pattern="*.json"):
    """The file of the first photo of the first split."""
    return sorted(place.root.rglob(pattern))[0]


def _change(file, change):
    content = json.loads(file.read_text())
    content = change(content) or content
    file.write_text(json.dumps(content))


@ANNOTATIONS.on(*JSON)
def truncated_annotations(place):
    file = _file(place)
    text = file.read_text()
    file.write_text(text[: int(len(text) * place.rng.uniform(0.1, 0.95))])
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*JSON)
def empty_annotations(place):
    file = _file(place)
    file.write_text(str(place.rng.choice(["", "{}", "[]", "null", "3", '"a"'])))
    own = ("'p0'",) if place.layout in LABELME else ()
    return Outcome(refused=(file.name, *own))


@ANNOTATIONS.on(*JSON)
def annotations_in_another_encoding(place):
    file = _file(place)
    encoding = str(place.rng.choice(["utf-8-sig", "utf-16"]))
    file.write_bytes(file.read_text().encode(encoding))
    return place.exact()


@ANNOTATIONS.on(*COCO)
def categories_in_another_order(place):
    """The ids count, not the order in the file."""
    for file in place.root.rglob("*.json"):
        _change(file, lambda c: c["categories"].reverse())
    return place.exact()


@ANNOTATIONS.on(*COCO)
def annotation_of_an_unknown_category(place):
    file = _file(place)
    _change(file, lambda c: c["annotations"][0].update(category_id=99))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*COCO)
def annotation_of_an_unknown_photo(place):
    file = _file(place)
    _change(file, lambda c: c["annotations"][0].update(image_id=12345))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*COCO)
def photo_of_another_size_than_annotated(place):
    file = _file(place)
    _change(file, lambda c: c["images"][0].update(width=48, height=31))
    return Outcome(refused=(file.name, "p0"))


@ANNOTATIONS.on("coco", "coco_one_file", "coco_in_splits")
def odd_numbers_of_a_polygon(place):
    odd = ([[1, 2, 3]], [[1, 2]], [["a"] * 6], [[float("nan")] * 8], [[1e999] * 6], 7)
    chosen = odd[int(place.rng.integers(len(odd)))]
    file = _file(place)
    _change(file, lambda c: c["annotations"][0].update(segmentation=chosen))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on("coco_rle")
def run_lengths_that_do_not_add_up(place):
    file = _file(place)
    odd = ([5, 5], [10**9], [-3, 9], [], ["x"], [2**70])
    runs = odd[int(place.rng.integers(len(odd)))]
    _change(file, lambda c: c["annotations"][0]["segmentation"].update(counts=runs))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on("coco_compressed")
def text_of_run_lengths_damaged(place):
    file = _file(place)
    odd = ("", "!!", "o", "zzzzzzzzzzzzzzzzzzz", "\u00e9", "0" * 999)
    text = odd[int(place.rng.integers(len(odd)))]
    _change(file, lambda c: c["annotations"][0]["segmentation"].update(counts=text))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*COCO)
def photos_named_with_a_path(place):
    for file in place.root.rglob("*.json"):
        folder = str(place.rng.choice(["images/", "/home/me/set/", "C:\\set\\", "./"]))

        def change(content, folder=folder):
            for image in content["images"]:
                image["file_name"] = folder + image["file_name"]

        _change(file, change)
    return place.either(".json", "p0")


@ANNOTATIONS.on(*JSON)
def fields_missing(place):
    file = _file(place)

    def change(content):
        part = content[0] if isinstance(content, list) else content
        chosen = str(place.rng.choice(sorted(part)))
        del part[chosen]

    _change(file, change)
    return place.either(file.name, "p0")


@ANNOTATIONS.on(*YOLO)
def class_that_is_not_named(place):
    file = place.root / "labels/train/p0.txt"
    file.write_text("7 0.1 0.1 0.5 0.1 0.5 0.5\n")
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*YOLO)
def odd_line_of_yolo(place):
    file = place.root / "labels/train/p0.txt"
    odd = ("0 0.1 0.1 0.5", "x 0.1 0.1 0.5 0.1 0.5 0.5", "0 nan 0.1 0.5 0.1 0.5 0.5",
           "0 0.1 0.1 0.5 0.1 0.5", "0", "0 140 100 500 100 500 500", "-1 0 0 1 0 1 1",
           "0.5 0.1 0.1 0.5 0.1 0.5 0.5")  # fmt: skip
    file.write_text(odd[int(place.rng.integers(len(odd)))] + "\n")
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*YOLO)
def names_of_yolo_missing(place):
    (place.root / "data.yaml").unlink()
    return Outcome(refused=("data.yaml", "classes.txt", "labels"))


@ANNOTATIONS.on(*LABELME)
def shapes_of_labelme_damaged(place):
    file = _file(place)
    odd = ([[1, 1]], "ab", [[1, "b"], [2, 2], [3, 1]], None, [[float("inf"), 1]] * 3)
    points = odd[int(place.rng.integers(len(odd)))]
    _change(file, lambda c: c["shapes"][0].update(points=points))
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on(*LABELME)
def photo_of_labelme_annotated_at_another_size(place):
    file = _file(place)
    _change(file, lambda c: c.update(imageWidth=96, imageHeight=40))
    return place.either(file.name)


@ANNOTATIONS.on(*STUDIO)
def brush_damaged(place):
    file = _file(place)

    def change(content):
        value = content[0]["annotations"][0]["result"][0]["value"]
        odd = (value["rle"][:9], [1, 2, 3], [], [999] * 20, "abc", value["rle"][3:])
        value["rle"] = odd[int(place.rng.integers(len(odd)))]

    _change(file, change)
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on("voc_xml")
def truncated_xml(place):
    file = place.root / "Annotations/p1.xml"
    file.write_text(file.read_text()[:-20])
    return Outcome(refused=(file.name,))


@ANNOTATIONS.on("voc_xml")
def xml_without_objects(place):
    """As the tool writes it for a photo that shows nothing."""
    file = place.root / "Annotations/p1.xml"
    file.write_text("<annotation><filename>p1.jpg</filename></annotation>")
    tags = {n: () if n == "p1" else place.good.tags_of(n) for n in place.good.scene}
    return place.either(file.name, tags=tags)
