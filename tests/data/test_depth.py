"""Photos of 10 to 16 bits: what is white, in a photo and in a source."""

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.images import photo_reader, read_grey, read_photo
from ppcjax.types import UserError
from tests.data.photo_content import RGB, content, png16, tiff16

LEVELS = (255, 1023, 4095, 16383, 65535)
WRITERS = {
    "png": png16,
    "tiff": tiff16,
    "big-endian tiff": lambda values: tiff16(values, order=">"),
}


def values(white, channels, *, size=(5, 7), seed=0):
    """Noise that reaches the level, opaque where there is alpha."""
    found = np.random.default_rng(seed).integers(0, white + 1, (*size, channels))
    found[0, 0] = white
    if channels in (2, 4):
        found[..., -1] = 65535
    return found.astype(np.uint16)


@pytest.mark.parametrize("white", LEVELS)
@pytest.mark.parametrize(
    ("form", "channels"),
    # Pillow does not know TIFF with two channels.
    [(f, c) for f in WRITERS for c in (1, 2, 3, 4) if f == "png" or c != 2],
)
def test_values_are_scaled_by_what_a_photo_holds(form, white, channels):
    deep = values(white, channels)
    pixels = read_photo(WRITERS[form](deep), "x").pixels
    colours = deep[..., : channels - (channels in (2, 4))]
    truth = np.broadcast_to(colours * (255 / white), pixels.shape)
    assert np.abs(pixels - truth).max() <= 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_the_order_of_dark_photos_stays(channels):
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64, 1).repeat(channels, 2)
    pixels = read_photo(png16(ramp), "x").pixels[..., 0].ravel().astype(int)
    assert (np.diff(pixels) >= 0).all() and len(set(pixels.tolist())) == 256


def test_packed_and_interlaced_forms_hold_the_same():
    deep = values(4095, 1)
    image = Image.fromarray(deep[..., 0])
    plain = read_photo(content(image, "PNG"), "x").pixels
    for form, options in (
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        found = read_photo(content(image, form, **options), "x").pixels
        np.testing.assert_array_equal(found, plain)


def test_alpha_of_a_deep_photo_lies_over_white():
    deep = np.full((1, 3, 4), 1000, np.uint16)
    deep[0, :, 3] = 0, 65535, 32768
    clear, full, half = read_photo(png16(deep), "x").pixels[0, :, 0].tolist()
    assert clear == 255 and full == 249 and abs(half - 252) <= 1


def test_values_beyond_16_bits_are_refused():
    for value in (-1, 65536):
        image = Image.fromarray(np.full((2, 2), value, np.int32))
        with pytest.raises(UserError, match="beyond 16 bits"):
            read_photo(content(image, "TIFF"), "x")


def write(folder, contents):
    folder.mkdir(exist_ok=True)
    files = {}
    for name, data in contents.items():
        files[name] = folder / name
        files[name].write_bytes(data)
    return files


@pytest.mark.parametrize(("largest", "white"), [(900, 1023), (3000, 4095), (200, 255)])
@pytest.mark.parametrize("channels", [1, 3])
def test_photos_of_a_source_share_their_white(tmp_path, largest, white, channels):
    dark = np.full((4, 4, channels), largest // 8, np.uint16)
    bright = np.full((4, 4, channels), largest, np.uint16)
    files = write(
        tmp_path,
        {
            "a.png": png16(dark),
            "b.tif": tiff16(bright),
            "c.jpg": content(Image.fromarray(RGB), "JPEG"),
            "d.png": content(Image.fromarray(RGB), "PNG"),
            "e.png": b"",
        },
    )
    read, guesses = photo_reader(files)
    (guess,) = guesses
    assert str(white) in guess and str(largest) in guess and "2 photos" in guess
    found = read(files["a.png"], "a").pixels
    assert (found == round(largest // 8 * 255 / white)).all()
    np.testing.assert_array_equal(read(files["d.png"], "d", 9).pixels, RGB)
    with pytest.raises(UserError, match="e.png"):
        read(files["e.png"], "e.png")


def test_true_16_bits_and_8_bits_are_no_guess(tmp_path):
    dark = np.full((4, 4, 1), 3000, np.uint16)
    files = write(
        tmp_path / "deep",
        {f"{i}.png": png16(dark if i else dark * 20) for i in range(5)},
    )
    read, guesses = photo_reader(files)
    assert guesses == () and (read(files["3.png"], "x").pixels == 12).all()
    flat = write(tmp_path / "flat", {"a.png": content(Image.fromarray(RGB), "PNG")})
    assert photo_reader(flat)[1] == photo_reader({})[1] == ()


def test_a_photo_beyond_the_white_of_its_source_has_its_own(tmp_path):
    """Where the source is too large for all photos to be looked at."""
    few = np.full((2, 2, 1), 4000, np.uint16)
    data = {f"{i:03}.png": png16(few) for i in range(100)}
    data["001.png"] = png16(few * 16)
    files = write(tmp_path, data)
    read, (guess,) = photo_reader(files)
    assert "looked at 32" in guess
    assert (read(files["000.png"], "x").pixels == 249).all()
    assert (read(files["001.png"], "x").pixels == 249).all()


def test_a_file_that_says_its_white_is_no_guess(tmp_path):
    grey = b"P5 2 1 4095\n" + np.array([4095, 1000], ">u2").tobytes()
    files = write(tmp_path, {"a.pgm": grey})
    read, guesses = photo_reader(files)
    assert guesses == ()
    assert read(files["a.pgm"], "a").pixels[0, :, 0].tolist() == [255, 62]
    dark = b"P5 2 1 4095\n" + np.array([100, 0], ">u2").tobytes()
    assert read_photo(dark, "b").pixels[0, :, 0].tolist() == [6, 0]


def test_grey_maps_use_all_16_bits(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(png16(np.full((2, 3, 1), 2570, np.uint16)))
    assert (read_grey(file, (2, 3)) == 10).all()


def test_images_in_memory_are_read_as_files_are():
    deep = Image.fromarray(values(4095, 1)[..., 0])
    np.testing.assert_array_equal(
        images.as_rgb(deep, "x"), read_photo(content(deep, "PNG"), "x").pixels
    )
    clear = Image.new("RGBA", (2, 2), (9, 9, 9, 0))
    assert (images.as_rgb(clear, "x") == 255).all()
    with pytest.raises(UserError, match="floating-point"):
        images.as_rgb(Image.new("F", (2, 2)), "x")
