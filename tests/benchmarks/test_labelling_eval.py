"""Marks that are written for a command are those that are proposed from."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import labelling_eval
from ppcjax.data_pipelines.episodes import marks
from ppcjax.data_pipelines.episodes.supports import read_supports
from ppcjax.types import IGNORE, UserError


class _World:
    """Photos of nothing."""

    def __init__(self):
        self.photos = self

    def pixels(self, i):
        return np.full((40, 50, 3), i, np.uint8)


@pytest.mark.parametrize("kind", ["scribbles", "boxes", "masks"])
def test_a_folder_of_marks_reads_as_they_were_drawn(tmp_path, kind):
    drawn = {}
    for i in (3, 12):
        mask = np.zeros((40, 50), np.int32)
        mask[5:20, 4:15] = mask[18:30, 10:40] = 1  # an angle: its box holds both
        mask[33:38, 30 + i : 35 + i] = 1
        drawn[i] = marks.draw(kind, mask).astype(np.uint8)
    if kind == "boxes":
        drawn[3][10:33, 20:45] = 1  # and boxes that overlap
    labelling_eval.write_examples(tmp_path, _World(), drawn, kind)
    found = read_supports(str(tmp_path))
    assert set(found.ids) == {"3", "12"} and found.names == ("it",)
    for key, image, mask in zip(found.ids, found.images, found.masks, strict=True):
        np.testing.assert_array_equal(mask, drawn[int(key)])
        assert (image == int(key)).all()
    assert kind != "scribbles" or (found.masks[0] == IGNORE).any()


def test_the_largest_difference_is_said():
    about = {"backbone": "tiny", "photos": "squares", "marks": "boxes", "held_out": 4}
    rows = [
        {**about, "class": "red", "label": 0.5, "eval": 0.49},
        {**about, "class": "green", "label": 0.70, "eval": 0.7025},
    ]
    lines = labelling_eval.table(rows).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].endswith("| 50.00% | 49.00% | +1.00 |")
    assert "1.00 points (red, boxes)" in lines[4]
    assert "behind by at most 0.25 (green, boxes)" in lines[4]
    assert len(labelling_eval.table([]).splitlines()) == 2


def test_a_command_that_fails_is_a_line(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="eval ended with 1: .*no config of that name"):
        labelling_eval._eval(["--config=none_such", f"--images={tmp_path}"])
