"""Photos of every kind, damaged in every way, and those that cannot be read here."""

import io
import random
import re
import time

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import images, photo_files
from ppcjax.data_pipelines.images import read_photo
from ppcjax.types import UserError
from tests.data.photo_content import KINDS, RGB, content, png

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, of damage

MORE = {
    "AVIF": {"colour.avif": "AVIF"},
    "HEIF": {"colour.heic": "HEIF"},
}
ALL = KINDS | {
    name: content(Image.fromarray(RGB), form)
    for kind, names in MORE.items()
    for name, form in names.items()
    if kind in photo_files.KINDS
}


def refused(data, name="photos/a.jpg"):
    """The one line that is said of it."""
    with pytest.raises(UserError) as caught:
        read_photo(data, name)
    message = str(caught.value)
    assert name in message and "\n" not in message and " at 0x" not in message
    return message


@pytest.mark.parametrize("name", ALL)
def test_every_kind_is_read_whatever_its_name_is(name, tmp_path):
    photo = read_photo(ALL[name], name)
    assert photo.pixels.shape == RGB.shape and photo.pixels.dtype == np.uint8
    assert photo[1:] == RGB.shape[:2]
    file = tmp_path / "photo.jpg"
    file.write_bytes(ALL[name])
    np.testing.assert_array_equal(read_photo(file, "x").pixels, photo.pixels)
    grey = np.asarray(Image.fromarray(RGB).convert("L"))[..., None]
    truths = {"grey": grey, "deep_grey": RGB[..., :1]}
    truth = truths.get(name.split(".")[0], RGB)
    if "bits" not in name:  # dithered
        assert np.abs(photo.pixels - truth.astype(float)).mean() < 16
    assert images.why_passed_over(name) is None
    assert images.why_passed_over(name.upper()) is None


@pytest.mark.parametrize("name", ALL)
def test_damage_is_one_line_or_a_photo(name):
    """Nothing else escapes, and no header has more allocated than a photo may take."""
    rng = random.Random(name)
    began = time.monotonic()
    for _ in range(25):
        data = bytearray(ALL[name])
        for _ in range(rng.choice((1, 2, 8))):
            at = rng.randrange(rng.choice((64, len(data))))
            data[at : at + rng.choice((0, 1, 1, 1, 4))] = rng.randbytes(
                rng.choice((1, 1, 1, 4))
            )
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            photo = read_photo(bytes(data), "x")
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert photo.pixels.shape[2:] == (3,) and photo.pixels.size
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_truncated_file_is_named(name, share):
    refused(ALL[name][: int(len(ALL[name]) * share)])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"image,tags\n", "no image"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 60, "HEIC"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 60, "AVIF"),
        (b"\0\0\0\x18ftypcrx " + b"\0" * 60, "raw"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\n<!doctype html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"II*\0" + b"\0" * 40, "TIFF"),
        (png(60_000, 60_000, 8, 2, b""), "178 megapixels"),
        (png(13_000, 13_000, 16, 6, b""), "truncated"),
        (png(0, 5, 8, 2, b""), "no image"),
    ],
)
def test_what_is_no_photo_is_said(data, words):
    assert words in refused(data)


def claiming(data, mark, side):
    """A JPEG whose header claims another size."""
    at = data.index(mark) + 5
    return data[:at] + 2 * side.to_bytes(2, "big") + data[at + 4 :]


@pytest.mark.parametrize("side", [13_000, 60_000])
@pytest.mark.parametrize(
    ("name", "mark"), [("colour.jpg", b"\xff\xc0"), ("progressive.jpg", b"\xff\xc2")]
)
def test_a_jpeg_that_claims_more_than_it_holds(name, mark, side):
    began = time.monotonic()
    assert re.search(
        "cannot hold|megapixels", refused(claiming(KINDS[name], mark, side))
    )
    assert time.monotonic() - began < 2


def test_the_smallest_and_the_longest_photos():
    for size in ((1, 1), (1, 65_500), (65_500, 1)):
        grey = np.full(size, 7, np.uint8)
        for form in ("PNG", "JPEG", "TIFF", "BMP", "GIF"):
            photo = read_photo(content(Image.fromarray(grey), form), "x", at_least=50)
            assert (photo.height, photo.width) == size
    assert photo.pixels.shape == (65_500, 1, 3)


def test_a_damaged_exif_block_counts_as_none():
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"
    photo = read_photo(content(Image.fromarray(RGB), "JPEG", exif=exif), "x")
    assert photo.pixels.shape == RGB.shape


def test_an_animation_gives_its_first_frame():
    frames = [Image.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (9, 200)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = content(
            frames[0], form, save_all=True, append_images=frames[1:], **options
        )
        assert (read_photo(data, "x").pixels == 9).all()


@pytest.mark.parametrize("suffix", images.UNREADABLE)
def test_photos_that_cannot_be_read_are_named_with_advice(suffix):
    why = images.why_passed_over(f"sub.folder/IMG_1{suffix.upper()}")
    assert why.startswith(f"{suffix}: ") and "convert" in why


@pytest.mark.parametrize("name", ["notes.txt", "a.csv", "README", "a.png.part", ".jpg"])
def test_other_endings_are_no_photos(name):
    assert images.why_passed_over(name) == ""


def test_readable_and_unreadable_do_not_overlap():
    readable = images.readable_suffixes()
    assert len(set(readable)) == len(readable)
    assert not set(readable) & set(images.UNREADABLE)
    assert {".heic", ".heif", ".avif"} <= set(readable) | set(images.UNREADABLE)


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_phone_photos_are_upright(form, orientation):
    if form not in photo_files.KINDS:
        pytest.skip(f"{form} cannot be read here")
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = np.full((64, 96, 3), 250, np.uint8)
    shown[:20, :30] = 10  # dark at the top left
    turned = {1: shown, 3: shown[::-1, ::-1], 6: np.rot90(shown, 1)}[orientation]
    image = Image.fromarray(np.ascontiguousarray(turned))
    photo = read_photo(content(image, form, exif=exif.tobytes(), quality=95), "x")
    assert photo.pixels.shape == shown.shape and photo[1:] == (64, 96)
    assert np.abs(photo.pixels.astype(int) - shown).mean() < 8


def test_no_other_reader_is_started():
    """Pillow would call other programs for some of these, or take any bytes at all."""
    assert not {"EPS", "WMF", "MPEG", "PSD", "TGA"} & set(photo_files.KINDS)
    eps = io.BytesIO()
    Image.fromarray(RGB).save(eps, "EPS")
    assert "PostScript" in refused(eps.getvalue())
