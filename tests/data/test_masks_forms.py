"""The same ids in every form that a mask may have."""

import numpy as np
import pytest

from ppcjax.data_pipelines.masks import open_masks
from tests.data import mask_files
from tests.data.mask_files import OWN, VOC, array, colour, grey, palette, stripes

CLASSES = ("background", "cow", "grass", "sky")
IDS = stripes(0, 2, 3, 255, 1)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)

# Name of the file, and what writes ids into it.
IDS_IN_VALUES = {
    "png L": ("a.png", grey, {}),
    "png LA": ("a.png", grey, {"mode": "LA"}),
    "png 16 bit": ("a.png", grey, {"mode": "I;16"}),
    "png P": ("a.png", palette, {}),
    "png P own": ("a.png", palette, {"colours": OWN}),
    "png P transparent": ("a.png", palette, {"transparency": 0}),
    "png RGB": ("a.png", colour, {"colours": GREYS}),
    "png RGBA": ("a.png", colour, {"colours": GREYS, "mode": "RGBA"}),
    "tif L": ("a.tif", grey, {}),
    "tif lzw": ("a.TIFF", grey, {"compression": "tiff_lzw"}),
    "tif deflate": ("a.tif", palette, {"compression": "tiff_adobe_deflate"}),
    "tif 16 bit": ("a.tif", grey, {"mode": "I;16"}),
    "tif I": ("a.tif", grey, {"mode": "I"}),
    "tif F": ("a.tif", grey, {"mode": "F"}),
    "tif P": ("a.tif", palette, {"colours": OWN}),
    "tif RGB": ("a.tif", colour, {"colours": GREYS}),
    "bmp L": ("a.bmp", grey, {}),
    "bmp P": ("a.bmp", palette, {"colours": OWN}),
    "bmp RGB": ("a.bmp", colour, {"colours": GREYS}),
    "gif L": ("a.gif", grey, {}),
    "gif P grey": ("a.gif", palette, {"colours": GREYS}),
    "webp": ("a.webp", colour, {"colours": GREYS, "lossless": True}),
    "npy uint8": ("a.npy", array, {}),
    "npy int64": ("a.npy", array, {"dtype": np.int64}),
    "npy float": ("a.npy", array, {"dtype": np.float64}),
    "npz": ("a.npz", array, {"dtype": np.uint16}),
    "png under another name": ("a.tif", grey, {"format": "PNG"}),
}
IDS_IN_COLOURS = {
    "png": ("a.png", colour, {}),
    "png RGBA": ("a.png", colour, {"mode": "RGBA"}),
    "tif": ("a.tif", colour, {}),
    "bmp": ("a.bmp", colour, {}),
    "webp": ("a.webp", colour, {"lossless": True}),
    "gif": ("a.gif", palette, {}),
    "png P": ("a.png", palette, {}),
}


def write(tmp_path, form, ids=IDS, **more):
    name, writer, options = form
    return writer(tmp_path / name, ids, **options, **more)


@pytest.mark.parametrize("form", IDS_IN_VALUES)
def test_ids_of_values(tmp_path, form):
    file = write(tmp_path, IDS_IN_VALUES[form])
    masks = open_masks({"a": file}, classes=CLASSES)
    mask = masks.get("a")
    np.testing.assert_array_equal(mask, IDS)
    assert mask.dtype == np.int32 and masks.text and not masks.warnings


@pytest.mark.parametrize("form", IDS_IN_COLOURS)
@pytest.mark.parametrize("colours", ["own", "voc"])
def test_ids_of_colours(tmp_path, form, colours):
    # A palette of the list's colours must have those of void as well.
    table = VOC.copy()
    if colours == "own":
        table[: len(OWN)] = OWN
    file = write(tmp_path, IDS_IN_COLOURS[form], colours=table)
    given = OWN if colours == "own" else ()
    masks = open_masks({"a": file}, classes=CLASSES, colours=given)
    np.testing.assert_array_equal(masks.get("a"), IDS)
    indexed = form == "png P"
    assert bool(masks.warnings) == (colours == "voc" and not indexed)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_sets_in_mixed_forms(tmp_path, seed):
    """Any number of classes, any order of forms, each file of its own form and size."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 200))
    classes = ("background", *(f"c{i}" for i in range(1, count)))
    # Palettes of several kinds in one set contradict each other.
    forms = IDS_IN_VALUES.values()
    forms = [form for form in forms if form[2].get("colours") is not OWN]
    files, wanted = {}, {}
    for i in range(6):
        size = rng.integers(1, 40, 2)
        wanted[f"{i}"] = rng.integers(0, count, size).astype(np.uint8)
        wanted[f"{i}"][0, 0] = 1
        form = forms[int(rng.integers(len(forms)))]
        files[f"{i}"] = write(tmp_path / f"{i}", form, wanted[f"{i}"])
    masks = open_masks(files, classes=classes)
    for key, ids in wanted.items():
        np.testing.assert_array_equal(masks.get(key), ids, str(files[key]))


def test_16_bit_ids_through_label_ids(tmp_path):
    ids = np.array([[0, 300, 65534], [7, 0, 300]], np.uint16)
    file = mask_files.array(tmp_path / "a.npy", ids, np.uint16)
    options = {"label_ids": (0, 300, 65534), "void": (7,)}
    masks = open_masks({"a": file}, classes=("background", "a", "b"), **options)
    assert masks.get("a").tolist() == [[0, 1, 2], [255, 0, 1]]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".npy"])
def test_bits_of_one_class(tmp_path, suffix):
    ids = stripes(0, 1)
    if suffix == ".npy":
        file = array(tmp_path / "a.npy", ids, bool)
    else:
        file = grey(tmp_path / f"a{suffix}", ids * 255, mode="1")
    masks = open_masks({"a": file}, classes=CLASSES[:2])
    np.testing.assert_array_equal(masks.get("a"), ids)


def test_without_a_mask_there_is_none(tmp_path):
    file = grey(tmp_path / "a.png", IDS)
    masks = open_masks({"a": file}, classes=CLASSES)
    assert masks.ids == ("a",) and masks.get("b") is None
    assert open_masks({}, classes=CLASSES).get("a") is None
