"""Masks whose colours say the class, in pictures and in palettes."""

import numpy as np
import pytest

from ppcjax.data_pipelines.masks import colours, open_masks
from ppcjax.types import IGNORE, UserError
from tests.data.mask_files import OWN, VOC, colour, grey, palette, stripes
from tests.data.test_masks_rules import THREE, refusal, write


def test_the_colours_of_voc():
    np.testing.assert_array_equal(colours.VOC, VOC)


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("strange", [(250, 50, 84), (1, 1, 1), (255, 255, 255)])
def test_a_colour_that_no_class_has(tmp_path, at, strange):
    table = (*OWN, strange)
    masks = [stripes(0, 1, 2, 3)] * 3
    masks[at] = masks[at].copy()
    masks[at][2, 2:4] = 4
    files = write(tmp_path, *masks, writer=colour, colours=table)
    line = refusal(files, str(at), colours=OWN)
    assert f"holds the colour {colours.write(strange)} (0.93% of its pixels)" in line
    assert "the nearest is" in line


def test_soft_edges_are_counted(tmp_path):
    files = write(tmp_path, stripes(*range(7)), writer=colour, colours=VOC[:7])
    table = tuple(map(tuple, VOC[[0, 3, 5, 6]].tolist()))
    line = refusal(files, colours=table)
    assert "and 2 other colours" in line and "draw it without soft edges" in line


def test_colours_without_a_list(tmp_path):
    files = write(tmp_path, stripes(0, 1, 2, 3), writer=colour, colours=OWN)
    line = refusal(files)
    assert "is a RGB picture" in line and "labelmap.txt" in line
    assert "250,50,83" in line or "61,61,245" in line or "255,204,51" in line


@pytest.mark.parametrize("at", [0, 1, 30])
def test_colours_of_voc_are_guessed_over_the_whole_set(tmp_path, at):
    masks = [stripes(0, 1, 3, 255)] * 31
    files = write(tmp_path, *masks, writer=colour, colours=VOC)
    guessed = open_masks(files, classes=THREE)
    np.testing.assert_array_equal(guessed.get("9"), masks[9])
    (warning,) = guessed.warnings
    assert "128,0,0 is cow, 128,128,0 is sky" in warning
    # One file that does not fit, or a class beyond the list, and nothing is guessed.
    colour(files[str(at)], stripes(0, 4), VOC)
    assert "is a RGB picture" in refusal(files, "0")
    assert "is a RGB picture" in refusal(files, "0", classes=("a", "b", "c", "d", "e"))


def test_palettes_in_any_order(tmp_path):
    """Each file with its own order of one list of colours: the colours count."""
    rng = np.random.default_rng(0)
    ids, files = {}, {}
    for i in range(6):
        order = rng.permutation(4)
        mask = ids[str(i)] = rng.integers(0, 4, (9, 7)).astype(np.uint8)
        indices = np.argsort(order).astype(np.uint8)[mask]
        table = np.array(OWN)[order]
        files[str(i)] = palette(tmp_path / f"{i}.png", indices, table)
    masks = open_masks(files, classes=THREE, colours=OWN)
    for key, wanted in ids.items():
        np.testing.assert_array_equal(masks.get(key), wanted)
    assert "read by the list of colours" in masks.warnings[0]
    assert "palettes differ" in refusal(files)


def test_one_palette_in_another_order(tmp_path):
    mask = stripes(0, 1, 2)
    table = [OWN[0], OWN[2], OWN[3]]
    files = write(tmp_path, mask, mask, writer=palette, colours=table)
    masks = open_masks(files, classes=THREE, colours=OWN)
    np.testing.assert_array_equal(masks.get("0"), np.int32([0, 2, 3])[mask])
    # Without a list it is the indices; with half a list nobody knows.
    np.testing.assert_array_equal(open_masks(files, classes=THREE).get("1"), mask)
    half = (*OWN[:3], (9, 9, 9))
    assert "which is not listed" in refusal(files, colours=half)
    other = ((0, 0, 0), (1, 2, 3), (4, 5, 6), (7, 8, 9))
    masks = open_masks(files, classes=THREE, colours=other)
    np.testing.assert_array_equal(masks.get("0"), mask)


@pytest.mark.parametrize("name", ["voc", "grey"])
def test_palettes_that_name_other_ids(tmp_path, name):
    """Reordered by a program that shrinks files: either reading may be meant."""
    mask = stripes(0, 1, 2)
    table = VOC[[0, 3, 1]] if name == "voc" else np.repeat([[0], [3], [1]], 3, 1)
    line = refusal(write(tmp_path, mask, writer=palette, colours=table))
    assert "usually stands for class id 3" in line or "class id 1" in line


@pytest.mark.parametrize("own", [[OWN[0], (255,) * 3], [(255,) * 3, (0,) * 3], OWN])
@pytest.mark.parametrize("count", [2, 4, 30])
def test_palettes_of_anyone_are_indices(tmp_path, own, count):
    classes = ("background", *(f"c{i}" for i in range(1, count)))
    mask = stripes(0, 1)
    masks = open_masks(
        write(tmp_path, mask, writer=palette, colours=own), classes=classes
    )
    np.testing.assert_array_equal(masks.get("0"), mask)
    assert not masks.warnings


def test_unused_entries_of_palettes_may_differ(tmp_path):
    one = palette(tmp_path / "1.png", stripes(0, 1), OWN)
    two = palette(tmp_path / "2.png", stripes(0, 1), [*OWN[:2], (7, 7, 9)])
    masks = open_masks({"1": one, "2": two}, classes=THREE)
    np.testing.assert_array_equal(masks.get("2"), stripes(0, 1))
    palette(tmp_path / "2.png", stripes(0, 2), [*OWN[:2], (7, 7, 9)])
    palette(tmp_path / "1.png", stripes(0, 2), OWN)
    line = refusal({"1": one, "2": two})
    assert str(two) in line and "index 2 is 61,61,245" in line


def test_palettes_of_differing_greys_and_of_voc(tmp_path):
    files = {}
    for i, order in enumerate(([0, 2, 1], [0, 1, 2], [0, 3, 255])):
        files[str(i)] = palette(tmp_path / f"{i}.png", stripes(0, 1, 2), VOC[order])
    masks = open_masks(files, classes=THREE)
    assert masks.get("2")[1].tolist()[-1] == IGNORE and masks.get("2").max() == IGNORE
    np.testing.assert_array_equal(masks.get("0"), np.int32([0, 2, 1])[stripes(0, 1, 2)])
    assert len(masks.warnings) == 2


def test_a_list_with_a_gap_or_twice_the_same(tmp_path):
    files = write(tmp_path, stripes(0, 1), writer=colour, colours=OWN)
    for table, said in ((OWN[:3], "3 for the 4"), ((*OWN[:3], OWN[1]), "two classes")):
        with pytest.raises(UserError, match=said):
            open_masks(files, classes=THREE, colours=table)


def test_void_ids_count_among_colours(tmp_path):
    files = write(tmp_path, stripes(0, 1, 2), writer=colour, colours=OWN)
    files["grey"] = grey(tmp_path / "g.png", stripes(0, 1, 2))
    masks = open_masks(files, classes=THREE, colours=OWN, void=(0,))
    for key in masks.ids:
        wanted = np.where(stripes(0, 1, 2), stripes(0, 1, 2), IGNORE)
        np.testing.assert_array_equal(masks.get(key), wanted)


def test_a_gif_is_never_read_by_index(tmp_path):
    """Its writers drop and reorder colours, so an index says nothing."""
    mask = stripes(0, 2)
    file = {"a": palette(tmp_path / "a.gif", mask, OWN)}
    np.testing.assert_array_equal(
        open_masks(file, classes=THREE, colours=OWN).get("a"), mask
    )
    assert "has a palette of its own" in refusal(file)


@pytest.mark.parametrize("writer, warned", [(grey, True), (palette, False)])
def test_ids_beside_a_list_of_colours_only(tmp_path, writer, warned):
    options = {"colours": OWN} if writer is palette else {}
    files = write(tmp_path, stripes(0, 1, 2), writer=writer, **options)
    masks = open_masks(files, classes=THREE, colours=OWN, by_colour=True)
    np.testing.assert_array_equal(masks.get("0"), stripes(0, 1, 2))
    assert any("count its lines" in line for line in masks.warnings) == warned


def test_colours_of_void(tmp_path):
    table = (*OWN, (10, 20, 30))
    files = write(tmp_path, stripes(0, 1, 4), writer=colour, colours=table)
    options = {"colours": OWN, "void_colours": [(10, 20, 30)]}
    mask = open_masks(files, classes=THREE, **options).get("0")
    np.testing.assert_array_equal(
        mask, np.where(stripes(0, 1, 4) == 4, 255, stripes(0, 1, 4))
    )
