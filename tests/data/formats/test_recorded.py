"""Small sets that annotation tools wrote; recorded/README.md says which and how."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import formats, make_eval, make_source

RECORDED = Path(__file__).parent / "recorded"
NAMES = ("cow", "bolt", "ash tree")
SORTED = ("ash tree", "bolt", "cow")
# Photos, classes in order, and how far from a border a pixel may differ: 0 where
# the tool draws by the rule that is ours.
SETS = {
    "pycocotools": ("train2017/{}.jpg", ("bolt", "cow", "ash tree"), 0),
    "datumaro_coco": ("images/train/{}.jpg", NAMES, 0),
    "datumaro_cvat": ("images/{}.jpg", NAMES, 0),
    "labelme": ("photos/{}.jpg", SORTED, 0),
    "labelstudio": ("{}.jpg", SORTED, 0),
    "labelstudio_min": ("{}.jpg", SORTED, 0),
    "labelstudio_coco": ("images/{}.jpg", SORTED, 0),
    "labelstudio_yolo": ("images/0a1b2c3d-{}.jpg", SORTED, 0),
    "supervision_coco": ("images/{}.jpg", NAMES, 2),
    "supervision_yolo": ("images/{}.jpg", NAMES, 2),
    "ultralytics": ("images/train/{}.jpg", NAMES, 1),
}

PASSED = {"labelme": {"linestrip of labelme, which has no area": 2}}


def copied(name, root, pattern):
    """A recorded set with photos; their ids, and the masks to expect, by photo."""
    shutil.copytree(
        RECORDED / name, root, ignore=lambda *_: {"expected"}, dirs_exist_ok=True
    )
    photos, expected = {}, {}
    for key, split in (("one", "train"), ("two", "val")):
        mask = np.asarray(Image.open(RECORDED / name / f"expected/{key}.png"))
        file = root / pattern.replace("*", split).format(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", mask.shape[::-1]).save(file)
        top = root / "images" if "images" in pattern else root
        photos[file.relative_to(top).with_suffix("").as_posix()] = file
        expected[file.relative_to(top).with_suffix("").as_posix()] = mask
    return photos, expected


def names_of(ids, classes):
    return np.array(["-", *classes])[ids]


@pytest.mark.parametrize("name", SETS)
def test_a_tool_wrote_it(tmp_path, name):
    pattern, classes, border = SETS[name]
    photos, expected = copied(name, tmp_path, pattern)
    found = formats.find(tmp_path, photos)
    assert found.classes == classes
    drawn_as = classes if name in ("pycocotools", "labelme") else NAMES
    for key, wanted in expected.items():
        mask = found.masks[key]()
        got, want = names_of(mask, classes), names_of(wanted, drawn_as)
        differ = got != want
        print(name, key, differ.sum(), mask.size)
        differ &= ~near_border(wanted, border)
        assert not differ.any(), key
        assert set(found.tags[key]) >= set(np.unique(want)) - {"-"}
    assert found.passed == PASSED.get(name, {})


def near_border(mask, pixels):
    """Places with another value, or the photo's edge, so many pixels away or nearer."""
    window = (2 * pixels + 1,) * 2
    around = np.pad(mask, pixels, constant_values=254)
    around = np.lib.stride_tricks.sliding_window_view(around, window)
    return (around != mask[..., None, None]).any((2, 3))


def test_masks_of_cvat_are_a_folder_with_a_list_of_colours(tmp_path):
    photos, expected = copied("datumaro_voc", tmp_path, "JPEGImages/{}.jpg")
    source = make_source({"source": "folder", "root": str(tmp_path)}, "train")
    assert sorted(source.classes[1:]) == sorted(NAMES)
    for example in make_eval({}, source):
        wanted = names_of(expected[f"JPEGImages/{example.id}"], NAMES)
        got = names_of(example.mask, source.classes[1:])
        np.testing.assert_array_equal(got, wanted)


def test_objects_of_voc_are_tags(tmp_path):
    photos, _ = copied("supervision_voc", tmp_path, "JPEGImages/{}.jpg")
    found = formats.find(tmp_path, photos)
    assert found.tags == dict.fromkeys(photos, ("ash tree", "cow"))
