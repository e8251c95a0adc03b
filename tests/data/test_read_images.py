import re

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines.images import read_photo
from ppcjax.data_pipelines.masks import read_mask
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data
from tests.data.photo_content import RGB, content


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "JPEG"])
def test_formats_agree(form):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98}}.get(form, {})
    photo = read_photo(content(Image.fromarray(RGB), form, **options), "x")
    assert (photo.height, photo.width) == RGB.shape[:2]
    tolerance = 12 if form == "JPEG" else 0
    np.testing.assert_allclose(photo.pixels.astype(int), RGB, atol=tolerance)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I;16B"])
def test_grey_becomes_three_equal_channels(mode):
    grey = np.array(
        [[0, 255], [255, 0]] if mode == "1" else [[0, 9], [200, 255]], np.uint8
    )
    image = Image.fromarray(grey)
    if mode.startswith("I"):
        image = Image.fromarray(grey.astype(np.uint16) * 257)
        form = "TIFF" if mode == "I;16B" else "PNG"
    else:
        image, form = image.convert(mode), "PNG"
    pixels = read_photo(content(image, form), "x").pixels
    np.testing.assert_array_equal(pixels, np.repeat(grey[:, :, None], 3, axis=2))


def test_16_bit_grey_keeps_its_order():
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)[None, :]
    pixels = read_photo(content(Image.fromarray(ramp), "PNG"), "x").pixels
    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(256))


def test_palette_becomes_its_colours():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    pixels = read_photo(content(image, "PNG"), "x").pixels
    assert pixels.tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_lies_over_white():
    half = np.array([[[0, 0, 200, 0], [0, 0, 200, 255], [0, 0, 200, 51]]], np.uint8)
    pixels = read_photo(content(Image.fromarray(half), "PNG"), "x").pixels
    assert pixels.tolist() == [[[255, 255, 255], [0, 0, 200], [204, 204, 244]]]


def test_transparent_palette_entry_lies_over_white():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    pixels = read_photo(content(image, "PNG", transparency=0), "x").pixels
    assert pixels.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_cmyk_keeps_its_colours():
    cmyk = Image.fromarray(RGB).convert("CMYK")
    pixels = read_photo(content(cmyk, "JPEG", quality=98), "x").pixels
    np.testing.assert_allclose(pixels.astype(int), RGB, atol=12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_photo_upright(orientation):
    # What a camera stores: the inverse of what the viewer has to do.
    stored = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, 1),
        7: np.rot90(RGB, 2).transpose(1, 0, 2),
        8: np.rot90(RGB, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    photo = read_photo(content(image, "PNG", exif=exif), "x")
    np.testing.assert_array_equal(photo.pixels, RGB)
    assert (photo.height, photo.width) == RGB.shape[:2]


def test_reduced_decoding_keeps_the_full_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(fake_data.picture(300, 800))
    photo = read_photo(content(image, "JPEG", exif=exif), "x", at_least=150)
    assert (photo.height, photo.width) == (800, 300)
    assert photo.pixels.shape == (200, 75, 3)  # a quarter; an eighth would be too small


def test_reduced_decoding_of_a_thin_image():
    image = Image.fromarray(fake_data.picture(2, 900))
    assert read_photo(content(image, "JPEG"), "x", at_least=10).width == 900


JPEG = content(Image.fromarray(fake_data.picture(200, 200)), "JPEG")
PNG = content(Image.fromarray(fake_data.picture(200, 200)), "PNG")


@pytest.mark.parametrize(
    "damaged",
    [b"", b"no image", JPEG[: len(JPEG) // 2], PNG[: len(PNG) // 2], PNG[:40]],
)
def test_damaged_images_are_named(damaged):
    with pytest.raises(UserError, match=re.escape("photos/a.jpg")):
        read_photo(damaged, "photos/a.jpg")
    with pytest.raises(UserError, match=re.escape("masks/a.png")):
        read_mask(damaged, "masks/a.png", num_classes=3)


def test_float_image_is_refused():
    image = Image.fromarray(np.zeros((2, 2), np.float32))
    with pytest.raises(UserError, match="x.tif.*floating-point"):
        read_photo(content(image, "TIFF"), "x.tif")


@pytest.mark.parametrize("kind", ["palette", "grey"])
def test_mask_gives_indices_not_colours(tmp_path, kind):
    ids = np.array([[0, 1, 20], [255, 15, 3]], np.uint8)
    file = tmp_path / "m.png"
    if kind == "palette":
        fake_data.write_mask(file, ids)
    else:
        fake_data.write_image(file, ids)
    mask = read_mask(file, "m", num_classes=21)
    np.testing.assert_array_equal(mask, ids)
    assert mask.dtype == np.int32


def test_void_ids_are_ignored():
    data = content(Image.fromarray(np.array([[0, 1, 255, 9]], np.uint8)), "PNG")
    mask = read_mask(data, "m", num_classes=3, void=(0, 9))
    assert mask.tolist() == [[IGNORE, 1, IGNORE, IGNORE]]


def test_class_id_out_of_range_is_named():
    data = content(Image.fromarray(np.array([[0, 3]], np.uint8)), "PNG")
    with pytest.raises(UserError, match="a.png: holds class id 3, but there are 3"):
        read_mask(data, "a.png", num_classes=3)


def test_colour_picture_is_no_mask():
    with pytest.raises(UserError, match="a.png: is a RGB picture"):
        read_mask(PNG, "a.png", num_classes=3)
