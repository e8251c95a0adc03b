"""Out and in again: masks that a writer wrote are read as they were."""

import pytest

from ppcjax.data_pipelines import formats
from tests.data.formats.scenes import CLASSES, assert_equal, masks, write_photos


def export(name, folder, found, classes=CLASSES):
    photos = [
        formats.Exported(key, f"{key}.png", lambda mask=mask: mask)
        for key, mask in found.items()
    ]
    for path, content in formats.WRITERS[name](photos, dict(enumerate(classes, 1))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.mark.parametrize("name", ["coco", "yolo", "labelstudio"])
def test_out_and_in_again(tmp_path, name):
    found = masks()
    photos = write_photos(tmp_path / "images", found)
    export(name, tmp_path, found)
    annotations = formats.find(tmp_path, photos)
    assert annotations.classes == CLASSES
    assert_equal(annotations, found)
    shown = {k: sorted({*m.ravel().tolist()} - {0, 255}) for k, m in found.items()}
    expected = {k: tuple(CLASSES[i - 1] for i in ids) for k, ids in shown.items()}
    assert annotations.tags == expected
    assert annotations.passed == {}
