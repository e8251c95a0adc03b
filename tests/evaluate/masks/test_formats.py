"""Masks of an export in formats of other tools: with the photos they are read again."""

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import make_eval, make_source
from ppcjax.data_pipelines.formats import WRITERS
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.masks.settings import Output
from ppcjax.evaluate.results import results
from ppcjax.runs.files import write_file
from ppcjax.types import UserError
from tests.data.formats.scenes import CLASSES, masks, write_photos
from tests.evaluate.masks.test_plan import make_example, make_plan

NAMES = ("background", *CLASSES)


def export(folder, name, found, classes=NAMES, *, background=True):
    out = results(folder)
    write_photos(folder / name / "images", found)
    source = photos(str(folder / name / "images"), classes)
    for key, mask in found.items():
        write_file(folder / "masks" / f"{key}.png", files.mask_bytes(mask))
    files.format_writer((name, name), source, classes, background)(out)


@pytest.mark.parametrize("name", WRITERS)
def test_exported_masks_are_read_again(tmp_path, name):
    found = masks()
    export(tmp_path, name, found)
    config = {"source": "folder", "root": str(tmp_path / name)}
    source = make_source(config, "all")
    assert source.classes == NAMES
    read = {example.id: example.mask for example in make_eval({}, source)}
    assert sorted(read) == sorted(found)
    for key, mask in found.items():
        np.testing.assert_array_equal(read[key], mask, err_msg=key)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", WRITERS)
def test_scenes_without_a_background_are_read_again(tmp_path, name):
    found = {"a": np.arange(12, dtype=np.uint8).reshape(3, 4) % 3}
    export(tmp_path, name, found, CLASSES, background=False)
    config = {"source": "folder", "root": str(tmp_path / name), "background": False}
    source = make_source(config, "all", classes=CLASSES)
    (example,) = make_eval({}, source)
    np.testing.assert_array_equal(example.mask, found["a"])


def test_only_what_was_predicted_is_written(tmp_path):
    source = Source("toy", NAMES, ("a", "b", "c"), None, skipped={"b": "damaged"})
    out = results(tmp_path)
    for key in "ab":
        content = files.mask_bytes(np.ones((2, 3), np.uint8))
        write_file(tmp_path / f"masks/{key}.png", content)
    files.format_writer(("yolo",), source, NAMES, True)(out)
    assert [file.name for file in tmp_path.glob("yolo/labels/*")] == ["a.txt"]


def test_names_that_a_format_cannot_hold_are_said_first(tmp_path):
    for name, classes in (("cvat", ("background", "a:b")), ("yolo", ("x", "void"))):
        with pytest.raises(UserError, match=f"export_format {name}: .* leave that"):
            files.format_writer((name,), None, classes, True)
    files.format_writer(("yolo",), None, ("background", "a:b"), True)


def test_a_plan_writes_them_when_all_is_predicted(tmp_path):
    examples = [make_example(i) for i in range(2)]
    plan = make_plan(examples, output=Output(export_format=("png_grey", "coco")))
    out = results(tmp_path)
    for prediction in plan.predictions:
        plan.write(prediction, out)
    plan.finish(out)
    for i in range(2):
        grey = Image.open(tmp_path / f"png_grey/masks/photo{i}.png")
        palette = Image.open(tmp_path / f"masks/photo{i}.png")
        assert (grey.mode, palette.mode) == ("L", "P")
        np.testing.assert_array_equal(np.asarray(grey), np.asarray(palette))
    assert (tmp_path / "coco/annotations/instances_default.json").is_file()
    assert make_plan(examples).finish(out) is None
