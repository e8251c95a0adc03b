"""Masks that an export wrote, in place of those of a source."""

import pytest

from ppcjax import data_pipelines
from ppcjax.types import UserError
from tests import folder_photos


def make_source(root, masks):
    data = {"source": "folder", "root": str(root), "masks": str(masks)}
    return data_pipelines.make_source(data, "all")


def test_masks_of_other_classes_or_none_are_refused(tmp_path):
    photos, export = tmp_path / "photos", tmp_path / "export"
    photos.mkdir()
    export.mkdir()
    folder_photos.write(photos)
    with pytest.raises(UserError, match="export masks into it"):
        make_source(photos, export / "no")
    with pytest.raises(UserError, match="none of the 6 images has a mask there"):
        make_source(photos, export)
    (export / "masks").mkdir()
    (export / "classes.txt").write_text("background\ncat\n")
    with pytest.raises(UserError, match="are of the classes background, cat, but"):
        make_source(photos, export)
