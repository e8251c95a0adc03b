"""Photos of one's own as a source, and parts of a source."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part
from ppcjax.types import UserError
from tests.data import fake_data
from tests.evaluate.masks.toy import CLASSES, write_photos


def test_photos_of_a_folder_or_pattern(tmp_path):
    write_photos(tmp_path / "a/b")
    assert photos(str(tmp_path), CLASSES).ids == ("a/b/p0", "a/b/p1", "a/b/p2")
    source = photos(str(tmp_path / "a/*/p[01].png"), CLASSES)
    assert source.ids == ("p0", "p1") and source.record(0).tags() is None
    assert source.record(1).photo(0).pixels.shape == (40, 48, 3)
    assert photos(str(tmp_path / "a/b/p2.png"), CLASSES).ids == ("p2",)
    with pytest.raises(UserError, match="no image there"):
        photos(str(tmp_path / "*.jpg"), CLASSES)
    (tmp_path / "a/b/p0.jpg").write_bytes(b"")
    found = photos(str(tmp_path / "a/b/*"), CLASSES).ids
    assert found == ("p0.jpg", "p0.png", "p1", "p2")
    (tmp_path / "a/b/p0.jpg.png").write_bytes(b"")
    with pytest.raises(UserError, match="only by suffix"):
        photos(str(tmp_path / "a/b/*"), CLASSES)


def test_photos_with_a_table_keep_their_tags(tmp_path):
    write_photos(tmp_path / "photos", count=2)
    (tmp_path / "photos/tags.csv").write_text("p0.png,red\np1.png,green\n")
    source = photos(str(tmp_path / "photos"), CLASSES)
    assert source.record(1).tags().tolist() == [1, 0, 1]
    (tmp_path / "photos/tags.csv").write_text("p0.png,blue\np1.png,green\n")
    with pytest.raises(UserError, match="unknown tag 'blue'"):
        photos(str(tmp_path / "photos"), CLASSES)


def test_part_is_evenly_spaced(tmp_path):
    assert evenly_spaced("abcdefghi", 3) == ["a", "e", "i"]
    assert evenly_spaced("ab", 5) == ["a", "b"]
    write_photos(tmp_path / "photos", count=5)
    source = photos(str(tmp_path / "photos"), CLASSES)
    some = part(source, 3)
    assert some.ids == ("p0", "p2", "p4") and some.record(1).id == "p2"
    assert part(source, None).ids == source.ids


def picture(file, grey=9):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5, 3), grey, np.uint8)).save(file)
    return file


@pytest.mark.parametrize(
    "name", ["my [photos]", "a*b", "what?", "[x]", "{y}", "!z", "Fotos für Zoë", "%s"]
)
def test_what_is_there_is_no_pattern(tmp_path, name):
    picture(tmp_path / name / "a [1].png")
    picture(tmp_path / name / "sub[2]/b*.png")
    picture(tmp_path / "aXb/other.png")
    for given in (tmp_path / name, f"{tmp_path / name}/"):
        assert photos(str(given), CLASSES).ids == ("a [1]", "sub[2]/b*")
    assert photos(str(tmp_path / name / "a [1].png"), CLASSES).ids == ("a [1]",)
    found = photos(str(tmp_path / name / "*.png"), CLASSES)
    assert found.ids == ("a [1]",) and found.record(0).photo(0).width == 5
    assert photos(str(tmp_path / name / "sub[2]/*"), CLASSES).ids == ("b*",)
    assert photos(str(tmp_path / name / "**/b*"), CLASSES).ids == ("b*",)


def test_patterns_may_be_relative_and_name_folders(tmp_path, monkeypatch):
    picture(tmp_path / "one/a.png")
    picture(tmp_path / "two/deep/b.png")
    picture(tmp_path / "home/c.png")
    (tmp_path / "home/here").mkdir()
    monkeypatch.chdir(tmp_path / "home/here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert photos("../*.png", CLASSES).ids == ("c",)
    assert photos("../../*/*.png", CLASSES).ids == ("home/c", "one/a")
    assert photos("~/*.png", CLASSES).ids == ("c",)
    assert photos("../../[ot]*/", CLASSES).ids == ("one/a", "two/deep/b")
    assert photos("../../one/../two/*/b.png", CLASSES).ids == ("b",)


def test_accents_are_one_character_in_ids(tmp_path):
    composed, split = (unicodedata.normalize(f, "café") for f in ("NFC", "NFD"))
    picture(tmp_path / "a" / f"{split}.png")
    for given in (tmp_path / "a", tmp_path / "a/*.png"):
        assert photos(str(given), CLASSES).ids == (composed,)
    picture(tmp_path / "a" / f"{composed}.png")
    if len(list((tmp_path / "a").iterdir())) == 2:  # not on every file system
        for given in (tmp_path / "a", tmp_path / "a/*.png"):
            with pytest.raises(UserError, match="accent"):
                photos(str(given), CLASSES)


def test_leavings_of_systems_and_loops_are_passed_over(tmp_path):
    for name in ("a.png", "._a.png", "@eaDir/a.png", "__MACOSX/a.png", "s/b.png"):
        picture(tmp_path / "p" / name)
    (tmp_path / "p/Thumbs.db").write_bytes(b"")
    (tmp_path / "p/s/back").symlink_to(tmp_path / "p")
    (tmp_path / "p/gone.png").symlink_to(tmp_path / "nowhere.png")
    for given in ("p", "p/**", "p/**/*.png"):
        source = photos(str(tmp_path / given), CLASSES)
        assert source.ids == ("a", "s/b")
        assert source.reading.passed["link that leads nowhere (gone.png)"] == 1


def test_what_is_no_photo_is_counted(tmp_path):
    picture(tmp_path / "a.png")
    for name in ("a.CR2", "b.cr2", "notes.txt", "LICENSE", "c.svg"):
        (tmp_path / name).write_bytes(b"x")
    for given in (tmp_path, tmp_path / "*"):
        passed = photos(str(given), CLASSES).reading.passed
        assert {why.split(":")[0]: n for why, n in passed.items()} == {
            ".cr2": 2,
            ".svg": 1,
            ".txt": 1,
            "no suffix": 1,
        }


@pytest.mark.parametrize("suffix", images.UNREADABLE)
def test_photos_of_a_kind_that_cannot_be_read_are_named(tmp_path, suffix):
    (tmp_path / "p").mkdir()
    for i in range(3):
        (tmp_path / f"p/IMG_{i}{suffix.upper()}").write_bytes(b"x")
    for given in ("p", "p/*", f"p/IMG_0{suffix.upper()}", f"p/*{suffix.upper()}"):
        with pytest.raises(UserError) as caught:
            photos(str(tmp_path / given), CLASSES)
        message = str(caught.value)
        count = 1 if "IMG_0" in given else 3
        assert f"{count} x {suffix}" in message and "convert" in message
        assert "\n" not in message


@pytest.mark.parametrize("given", ["", "no", "no/*.jpg", "[", "a\0b", "x" * 5000, "**"])
def test_where_nothing_is(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no image there") as caught:
        photos(given, CLASSES)
    assert "\n" not in str(caught.value)


def test_dark_photos_of_16_bits_are_scaled_together(tmp_path):
    for i, grey in enumerate((4000, 1000)):
        deep = Image.fromarray(np.full((4, 4), grey, np.uint16))
        deep.save(tmp_path / f"{i}.png")
    source = photos(str(tmp_path), CLASSES)
    assert [source.record(i).photo(0).pixels.max() for i in (0, 1)] == [249, 62]
    (warning,) = source.reading.warnings
    assert "12 bits" in warning


def test_masks_among_photos_are_not_predicted(tmp_path):
    for name in ("a.jpg", "b.jpg", "b_mask.png", "masks/a.png", "more/c.jpg"):
        fake_data.write_image(tmp_path / name)
    source = photos(str(tmp_path), CLASSES)
    assert source.ids == ("a", "b", "more/c")
    assert source.reading.passed["mask of a photo"] == 2
