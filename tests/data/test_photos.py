"""Photos of one's own as a source, and parts of a source."""

import pytest

from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.data_pipelines.sources.subset import evenly_spaced, part
from ppcjax.types import UserError
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
