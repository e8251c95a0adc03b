"""Folders of masked examples."""

import numpy as np
import pytest

from ppcjax.data_pipelines.episodes.boxes import fill
from ppcjax.data_pipelines.episodes.supports import read_supports
from ppcjax.types import UserError
from tests.few_shot import write_supports


def test_masks_scribbles_and_boxes_are_read(tmp_path):
    found = read_supports(str(write_supports(tmp_path)))
    assert found.ids == ("p0", "p1", "p2") and found.names == ("cat", "dog")
    assert set(np.unique(found.masks[1])) == {0, 2, 255}
    assert (found.masks[2] == 2).sum() == 8 * 9
    np.testing.assert_array_equal(found.masks[2], fill([(2, 2, 3, 10, 12)], (20, 30)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,x0\n", "its first line must name"),
        ("image,class,x0,y0,x1,y1\np2,cow,1,1,2,2\n", "line 2: class 'cow'"),
        ("image,class,x0,y0,x1,y1\np2,dog,1,1,1,2\n", "is empty"),
        ("image,class,x0,y0,x1,y1\np2,dog,1,1,b,2\n", "line 2"),
    ],
)
def test_boxes_that_cannot_be_read_are_named(tmp_path, text, message):
    root = write_supports(tmp_path)
    (root / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_supports(str(root))


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        read_supports(str(tmp_path / "nowhere"))
