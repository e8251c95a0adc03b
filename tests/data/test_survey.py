"""The account of a source: what is counted, and what is said."""

import json

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import make_source, survey
from ppcjax.data_pipelines.sources.base import Reading, Source
from ppcjax.data_pipelines.survey import counting
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data
from tests.data.toy_sources import good, mask_of, problems, source_of


def damaged(index):
    source = source_of(good(2))

    def record(i):
        def broken():
            raise UserError(f"p{i}.png: cannot be read")

        found = source.record(i)
        return found._replace(mask=broken) if i == index else found

    return Source(source.name, source.classes, source.ids, record)


def test_unusable_photos_stop_are_left_out_or_collected():
    with pytest.raises(UserError, match=r"p2.png: cannot be read"):
        survey.survey(damaged(2), needs="masks")
    read = survey.survey(damaged(2), needs="masks", skip=True)
    assert not read.problems.errors and read.damaged == {"p2": "p2.png: cannot be read"}
    assert "1 photo cannot be used and are left out, such as p2" in "".join(
        read.lines()
    )
    read = survey.survey(damaged(2), needs="masks", collect=True)
    assert "1 photo cannot be used, such as p2.png" in read.problems.errors[0]
    assert survey.survey(damaged(2), needs="views").damaged == {}


def test_masks_of_another_size_are_found_before_training():
    photos = [*good(2), ((1,), np.ones((8, 9), np.int32))]
    with pytest.raises(UserError, match="the mask of 'p7' is 9x8 pixels but"):
        problems(photos, "masks")


def test_counts_of_classes_photos_and_pixels():
    photos = [((1,), mask_of(1)), ((1, 2), mask_of(0, IGNORE)), ((), None)]
    read = survey.survey(source_of(photos), needs="scores")
    found = read.as_json()
    assert json.loads(json.dumps(found)) == found
    rows = {row.pop("name"): row for row in found["classes"]}
    assert rows["background"] == {"tagged": 1, "shown": 1, "pixels": 40}
    assert rows["c1"] == {"tagged": 2, "shown": 1, "pixels": 80}
    assert rows["c2"] == {"tagged": 1, "shown": 0, "pixels": 0}
    assert found["masks"] == {
        "text": "",
        "read": 3,
        "photos": 2,
        "pixels": 160,
        "void": 40,
    }
    text = "\n".join(read.lines())
    assert "data: toy (split all): 3 photos, 10 x 8 pixels" in text
    assert "  tags        background 1, c1 2, c2 1" in text
    assert "2 of 3 photos; background 25.0 %, c1 50.0 %, void 25.0 %" in text


def test_tags_that_are_the_masks_are_read_once():
    reads = []
    source = source_of(good(2), tags_by="mask")

    def record(index):
        def tags():
            reads.append(index)

        return source.record(index)._replace(tags=tags)

    whole = Source(source.name, source.classes, source.ids, record, tags_by="mask")
    read = survey.survey(whole, needs="tags")
    assert not reads and read.counts.tagged.tolist() == [1, 3, 3]


def test_the_block_says_how_the_source_was_read():
    reading = Reading(
        photos="images/",
        classes="classes.txt",
        tags="tags.csv",
        masks="masks/",
        splits={"train": 5, "val": 2},
        held_out=("p1", "p2"),
        passed={".heic": 3, ".txt": 1},
        warnings=("evil \x1b[31m name \u202e of\nall",),
    )
    lines = survey.survey(source_of(good(2), reading=reading), needs="tags").lines()
    assert lines[1:] == [
        "  photos      images/",
        "  tags        tags.csv: background 1, c1 3, c2 3",
        "  masks       masks/; all 7 photos; background 57.1 %, c1 21.4 %, c2 21.4 %",
        "  classes     classes.txt: background, c1, c2",
        "  splits      train 5, val 2 (held out by ppcjax)",
        "  passed over 3 .heic, 1 .txt",
        "  warning     evil \\x1b[31m name \\u202e of\\nall",
    ]


def test_long_class_lists_are_cut():
    read = survey.survey(source_of(good(50), 50), needs="tags")
    lines = dict(line.split(None, 1) for line in read.lines()[1:])
    assert lines["classes"].endswith("c10, c11 and 39 more")
    assert lines["tags"].endswith("c11 2 and 39 more")
    assert len(read.as_json()["classes"]) == 51


def test_classes_without_a_background_count_from_the_first():
    photos = [(None, mask_of(0)), (None, mask_of(1))]
    fields = {"names": ("road", "sky"), "tags_by": "mask"}
    read = survey.survey(source_of(photos, **fields), needs="masks")
    assert read.problems == ((), ()) and read.counts.tagged.tolist() == [1, 1]
    found = problems([(None, mask_of(IGNORE))], "masks", **fields)
    assert "are void" in found.errors[0]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100])
def test_beginnings_of_a_spread_are_evenly_spaced(length):
    order = counting.spread(length)
    assert sorted(order) == list(range(length))
    for count in (1, 2, 4, 8, 16, 32):
        if count <= length:
            gaps = np.diff(sorted(order[:count]), prepend=0, append=length)
            assert gaps.max() <= 2 * length / count + 2


def test_no_more_is_read_than_is_allowed(monkeypatch):
    photos = good(2, 500)
    read = survey.survey(source_of(photos, surveyed=100), needs="masks")
    assert read.counts.masked == 100 and read.counts.with_tags == len(photos)
    assert "100 of 501 photos, evenly spaced; background" in "\n".join(read.lines())
    assert not read.problems.errors
    monkeypatch.setattr(counting, "PIXELS", 80 * 50)
    read = survey.survey(source_of(photos), needs="masks")
    assert 50 <= read.counts.masked <= counting.CHUNK
    again = survey.survey(source_of(photos), needs="masks")
    assert again.as_json() == read.as_json()


def test_rare_masks_are_found():
    photos = [((1,), None)] * 400
    photos[123] = ((1,), mask_of(0, 1))
    read = survey.survey(source_of(photos, 1, surveyed=50), needs="tags")
    assert read.counts.masked == 1 and read.counts.masks_read == 400


def test_sizes_come_from_headers(tmp_path):
    for number, (width, height) in enumerate([(30, 20), (20, 40), (60, 50)]):
        picture = Image.new("RGB", (width, height))
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 1 else 1
        picture.save(tmp_path / f"{number}.jpg", exif=exif)
    data = {"source": "photos", "root": str(tmp_path)}
    read = survey.of_config(data, make_source(data, "all"), reads="views")
    assert "3 photos, 30 x 20 to 60 x 50 pixels, median 40 x 20" in read.lines()[0]
    (tmp_path / "3.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"3.jpg: cannot be read as an image"):
        survey.of_config(data, make_source(data, "all"), reads="views")
    read = survey.of_config(
        data | {"on_bad_image": "skip"}, make_source(data, "all"), reads="views"
    )
    assert list(read.damaged) == ["3.jpg"] or list(read.damaged) == ["3"]


def test_a_folder_as_people_have_it(tmp_path):
    root = fake_data.write_folder(tmp_path)
    data = {"source": "folder", "root": str(root), "with_masks": True}
    read = survey.of_config(data, make_source(data, "all"), reads="dense")
    text = "\n".join(read.lines())
    assert not read.problems.errors
    assert "4 photos, 30 x 20 pixels" in text and "cat 2, dog 3" in text
    assert "all 4 photos; background 45.8 %" in text
    for place in (root / "masks").iterdir():
        fake_data.write_mask(place, np.zeros((20, 30)))
    read = survey.of_config(data, make_source(data, "all"), reads="dense")
    assert "no mask shows one" in read.problems.errors[0]
    del data["with_masks"]
    read = survey.of_config(data, make_source(data, "all"), reads="dense")
    assert not read.problems.errors and "no mask" in read.problems.warnings[0]
    assert not survey.of_config(data, make_source(data, "all")).problems.errors


def test_the_embedded_set_is_looked_at_in_part():
    data = {"source": "shapes", "train_size": 300, "size": 16}
    read = survey.of_config(data, make_source(data, "train"), reads="dense")
    assert read.counts.masked == 200 and read.problems == ((), ())
    assert "train 300, val 200, test 400" in "\n".join(read.lines())
