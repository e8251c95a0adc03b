"""What the masks of a whole set mean, decided over all of them."""

import re

import numpy as np
import pytest

from ppcjax.data_pipelines.masks import open_masks, opening, scanning
from ppcjax.types import IGNORE, UserError
from tests.data.mask_files import OWN, VOC, array, colour, grey, palette, stripes

ONE = ("background", "polyp")
THREE = ("background", "cow", "grass", "sky")
WHITE = {0: 0, 1: 255}


def write(root, *masks, writer=grey, **options):
    return {
        str(i): writer(root / f"{i}.png", np.asarray(mask, np.uint8), **options)
        for i, mask in enumerate(masks)
    }


def refusal(files, named=None, classes=THREE, **options):
    """The one line with which a set is refused, at the latest when it is read."""
    with pytest.raises(UserError) as error:
        masks = open_masks(files, classes=classes, **options)
        for key in masks.ids:
            masks.get(key)
    line = str(error.value)
    assert "\n" not in line
    assert str(files[named or next(iter(files))]) in line
    return line


# Values of each mask of a set of one class, and what they are then: 255 an object ...
@pytest.mark.parametrize(
    "values",
    [[(0, 255)], [(0,), (255,)], [(255, 0), (0, 255)], [(0,)] * 40 + [(0, 255)]],
)
@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif", ".bmp", ".npy"])
def test_0_and_255_of_one_class(tmp_path, values, suffix):
    writer = array if suffix == ".npy" else grey
    files = {
        str(i): writer(tmp_path / f"{i}{suffix}", stripes(*v))
        for i, v in enumerate(values)
    }
    masks = open_masks(files, classes=ONE)
    for key, v in zip(masks.ids, values, strict=True):
        np.testing.assert_array_equal(masks.get(key), stripes(*v) == 255)
    assert masks.text == "0 and 255 only: 255 is read as polyp"
    assert len(masks.warnings) == 1 and masks.text in masks.warnings[0]


# ... or not: 1 occurs, or one of the two does not, or somebody said what 255 is.
@pytest.mark.parametrize(
    "values, options",
    [
        ([(0, 1)], {}),
        ([(0, 1, 255)], {}),
        ([(0,)], {}),
        ([(255,)], {}),
        ([(0, 255)], {"void": (255,)}),
        ([(0, 255)], {"void": (0,)}),
        ([(0, 255)], {"label_ids": (0, 7)}),
    ],
)
def test_255_is_void(tmp_path, values, options):
    files = write(tmp_path, *(stripes(*v) for v in values))
    masks = open_masks(files, classes=ONE, **options)
    for key, v in zip(masks.ids, values, strict=True):
        ids = stripes(*v).astype(int)
        ids[np.isin(ids, options.get("void", ()))] = IGNORE
        np.testing.assert_array_equal(masks.get(key), ids)
    assert not masks.warnings


@pytest.mark.parametrize("white, ids", [(1, 3), (2, 1), (3, 30), (30, 300)])
def test_some_0_and_255_beside_0_and_1(tmp_path, white, ids):
    first = [stripes(0, 1)] * ids
    files = write(tmp_path, *first[1:], *[stripes(0, 255)] * white, first[0])
    masks = open_masks(files, classes=ONE)
    assert masks.text == "values are class ids"
    (warning,) = masks.warnings
    looked = min(white + ids, 201)
    found = re.match(r"(\d+) of (\d+) masks looked at hold 0 and 255 only", warning)
    assert 1 <= int(found[1]) <= white and int(found[2]) <= looked
    assert (masks.get(str(ids - 1)) != 1).all()


@pytest.mark.parametrize("count", [3, 4, 9, 30])
@pytest.mark.parametrize("files", [1, 5])
def test_0_and_255_of_several_classes_teach_nothing(tmp_path, count, files):
    classes = ("background", *(f"c{i}" for i in range(1, count)))
    paths = write(tmp_path, *[stripes(0, 255)] * files)
    line = refusal(paths, classes=classes)
    assert f"all {files} masks hold 0 and 255 only" in line
    assert "1 for c1, 2 for c2" in line
    # Void beside a class, or nothing but background, is for the survey.
    more = write(tmp_path / "more", *[stripes(0, 255)] * files, stripes(0, 2))
    assert open_masks(more, classes=classes).get("0").max() == IGNORE
    empty = write(tmp_path / "empty", stripes(0), stripes(0))
    assert open_masks(empty, classes=classes).get("0").max() == 0


def test_cream_is_void_and_not_white(tmp_path):
    files = write(tmp_path, stripes(0, 255), writer=palette, colours=VOC)
    assert open_masks(files, classes=ONE).get("0").tolist()[1][-1] == IGNORE
    table = VOC.copy()
    table[255] = 255
    files = write(tmp_path, stripes(0, 255), writer=palette, colours=table)
    assert open_masks(files, classes=ONE).get("0").tolist()[1][-1] == 1


@pytest.mark.parametrize("values", [(0, 128, 255), (0, 127), (0, 4), (3, 200, 255)])
@pytest.mark.parametrize("at", [0, 3])
def test_values_that_are_no_ids(tmp_path, values, at):
    masks = [stripes(0, 1, 2)] * 4
    masks[at] = stripes(*values)
    wrong = next(v for v in values if v not in (0, 1, 2, 3, 255))
    line = refusal(write(tmp_path, *masks), str(at))
    assert f"holds class id {wrong}, but there are 4 classes" in line


def test_ordinary_sets_are_not_decoded(tmp_path, monkeypatch):
    files = write(tmp_path / "g", *[stripes(0, 1, 2)] * 40)
    files |= {
        f"p{k}": f
        for k, f in write(tmp_path / "p", *[stripes(0, 3)] * 40, writer=palette).items()
    }
    read = []
    monkeypatch.setattr(
        scanning, "read_pixels", lambda f, n: read.append(f) or real(f, n)
    )
    real = opening.read_pixels
    open_masks(files, classes=THREE)
    assert len(read) <= 16


def test_classes_beyond_what_masks_hold(tmp_path):
    files = write(tmp_path, stripes(0, 254))
    names = tuple(f"c{i}" for i in range(1, 255))
    assert open_masks(files, classes=("background", *names)).get("0").max() == 254
    with pytest.raises(UserError, match="there are 256 classes, background included"):
        open_masks(files, classes=("background", *names, "more"))


def test_a_list_of_greys(tmp_path):
    """Grey colours are colours where they are no ids, and ids where both may be."""
    greys = ((0, 0, 0), (128, 128, 128), (250, 50, 83), (255, 255, 255))
    for writer, options in ((grey, {}), (colour, {"colours": greys})):
        ids = stripes(0, 1, 3)
        values = np.uint8([0, 128, 7, 255])[ids] if writer is grey else ids
        files = write(tmp_path / writer.__name__, values, writer=writer, **options)
        masks = open_masks(files, classes=THREE, colours=greys)
        np.testing.assert_array_equal(masks.get("0"), ids)
        assert "list of colours" in masks.text
    files = write(tmp_path / "ids", stripes(0, 1, 3))
    masks = open_masks(files, classes=THREE, colours=greys)
    np.testing.assert_array_equal(masks.get("0"), stripes(0, 1, 3))


def test_greys_that_are_ids_of_others(tmp_path):
    swapped = ((0, 0, 0), (2, 2, 2), (1, 1, 1), (9, 9, 9))
    files = write(tmp_path, stripes(0, 1), writer=colour, colours=swapped)
    assert "class ids and colours of other classes" in refusal(files, colours=swapped)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_one_file_a_class(tmp_path, count):
    """Each of two values in its own way; unclaimed is background, both is void."""
    ways = (
        (lambda f, m: grey(f.with_suffix(".png"), m * np.uint8(255))),
        (lambda f, m: grey(f.with_suffix(".tif"), m * np.uint8(1))),
        (lambda f, m: grey(f.with_suffix(".bmp"), m * np.uint8(255), mode="1")),
        (lambda f, m: array(f.with_suffix(".npy"), m, bool)),
    )
    rng = np.random.default_rng(count)
    shown = rng.random((count, 11, 13)) < 0.4
    by_class = tuple(
        (c, ways[c % 4](tmp_path / f"p_{c}", shown[c])) for c in range(1, count)
    )
    classes = tuple(["background", *"abcdefg"][:count])
    masks = open_masks({"p": by_class}, classes=classes)
    claims = shown[1:].sum(0)
    wanted = np.where(claims == 1, shown[1:].argmax(0) + 1, 0)
    wanted[claims > 1] = IGNORE
    np.testing.assert_array_equal(masks.get("p"), wanted)
    assert "pixels of two classes are unknown" in masks.text
    # Two files of one class are united; beside a background's own, the rest is void.
    some = ((0, by_class[0][1]), (1, by_class[0][1]))
    mask = open_masks({"p": some}, classes=classes).get("p")
    np.testing.assert_array_equal(mask, IGNORE)
    mask = open_masks({"p": (by_class[0],) * 2}, classes=classes).get("p")
    np.testing.assert_array_equal(mask, shown[1])


def test_one_file_a_class_refusals(tmp_path):
    small, large = stripes(0, 1), stripes(0, 1, height=30)
    one, two = grey(tmp_path / "1.png", small), grey(tmp_path / "2.png", large)
    soft = grey(tmp_path / "3.png", stripes(0, 127, 255))
    red = colour(tmp_path / "4.png", small, OWN)
    for files, named in (
        (((1, one), (2, two)), two),
        (((1, soft),), soft),
        (((1, one), (2, red)), red),
    ):
        with pytest.raises(UserError, match=re.escape(str(named))) as error:
            open_masks({"p": files}, classes=THREE).get("p")
        assert "\n" not in str(error.value)


def test_drawn_masks_are_checked():
    drawn = {"a": lambda: stripes(0, 3, 255), "b": lambda: stripes(0, 4)}
    masks = open_masks(drawn, classes=THREE, void=(3,))
    np.testing.assert_array_equal(masks.get("a"), np.where(stripes(0, 3, 255), 255, 0))
    assert masks.get("a").dtype == np.int32
    with pytest.raises(UserError, match="the mask of b: holds class id 4"):
        masks.get("b")
    masks = open_masks({"c": lambda: np.zeros((2, 2, 3), np.uint8)}, classes=THREE)
    with pytest.raises(UserError, match="the mask of c: was drawn as"):
        masks.get("c")
