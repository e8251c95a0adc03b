import re

import numpy as np
import pytest

from ppcjax.data_pipelines import make_eval, make_source
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data


def config(root, **fields):
    return {"source": "folder", "root": str(root), **fields}


def tags_of(source):
    return {i: source.record(n).tags().tolist() for n, i in enumerate(source.ids)}


def refuses(message, root, split="all", **fields):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        list(make_eval({}, make_source(config(root, **fields), split)))
    assert "\n" not in str(caught.value)


def test_table_gives_classes_and_tags(tmp_path):
    source = make_source(config(fake_data.write_folder(tmp_path)), "all")
    assert source.classes == ("background", "cat", "dog")
    assert tags_of(source) == {
        "photo_0": [1, 1, 0],
        "photo_1": [1, 0, 1],
        "photo_2": [1, 1, 1],
        "photo_3": [1, 0, 1],
    }


def test_examples_come_in_order_at_full_size(tmp_path):
    source = make_source(config(fake_data.write_folder(tmp_path)), "all")
    examples = list(make_eval({}, source))
    assert tuple(e.id for e in examples) == source.ids
    assert examples[0].image.shape == (20, 30, 3)
    np.testing.assert_array_equal(examples[2].mask, fake_data.striped_mask([0, 1, 2]))


def test_table_may_lack_a_header_and_name_images_otherwise(tmp_path):
    for name in ("a.jpg", "sub/b.JPEG", "sub/c.d.png"):
        fake_data.write_image(tmp_path / name)
    (tmp_path / "tags.csv").write_text("a,cat\nb.JPEG,dog\n\nsub\\c.d.png,cat  dog\n")
    source = make_source(config(tmp_path), "all")
    assert tags_of(source) == {
        "a": [1, 1, 0],
        "sub/b": [1, 0, 1],
        "sub/c.d": [1, 1, 1],
    }


def test_sub_folders_are_tags(tmp_path):
    for name in ("golden retriever/1.jpg", "cat/1.jpg", "cat/.hidden.jpg", "cat/x.txt"):
        fake_data.write_image(tmp_path / name) if name[-1] == "g" else None
    fake_data.write_mask(tmp_path / "masks/cat/1.png", fake_data.striped_mask([0, 1]))
    source = make_source(config(tmp_path), "all")
    assert source.classes == ("background", "cat", "golden retriever")
    assert tags_of(source) == {"cat/1": [1, 1, 0], "golden retriever/1": [1, 0, 1]}
    assert source.record(0).mask() is not None and source.record(1).mask() is None


@pytest.mark.parametrize("name", ["labels.csv", "train.csv", "tags.tsv", "tags.txt"])
def test_a_table_of_another_name(tmp_path, name):
    root = fake_data.write_folder(tmp_path, masks=False)
    (root / "tags.csv").rename(root / name)
    source = make_source(config(root), "all")
    assert source.classes == ("background", "cat", "dog") and not source.untagged
    assert any(name in warning for warning in source.reading.warnings)
    (root / "sizes.csv").write_text("image,width\nphoto_0.jpg,30\n")
    assert make_source(config(root), "all").classes == source.classes
    (root / "other.csv").write_text((root / name).read_text())
    refuses("may be the table of tags; call it tags.csv", root)


def test_hashtags_are_tags(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("#cat", "cat", "#dog #cat", "dog"))
    assert make_source(config(root), "all").classes == ("background", "cat", "dog")


def test_tag_without_images(tmp_path):
    fake_data.write_image(tmp_path / "cat/1.jpg")
    (tmp_path / "dog").mkdir()
    refuses("dog: this tag has no image", tmp_path)


def test_background_tag_means_none_of_the_classes(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat", "background"), masks=False)
    source = make_source(config(root), "all")
    assert source.classes == ("background", "cat") and not source.untagged
    assert tags_of(source)["photo_1"] == [1, 0]


def test_class_list_orders_ids_and_may_start_with_void(tmp_path):
    root = fake_data.write_folder(tmp_path)
    (root / "classes.txt").write_text("void\nzebra\ncat\ndog\n")
    source = make_source(config(root, void=(0,)), "all")
    assert source.classes == ("background", "zebra", "cat", "dog")
    mask = source.record(0).mask()
    assert set(np.unique(mask)) == {1, IGNORE}


def test_tags_come_from_masks_where_there_is_no_table(tmp_path):
    root = fake_data.write_folder(tmp_path)
    (root / "tags.csv").unlink()
    (root / "classes.txt").write_text("cat\ndog\n")
    assert tags_of(make_source(config(root), "all"))["photo_2"] == [1, 1, 1]


def test_plain_photos_can_be_evaluated_with_known_classes(tmp_path):
    fake_data.write_image(tmp_path / "a.jpg")
    source = make_source(config(tmp_path), "all", classes=("background", "cat"))
    (example,) = make_eval({}, source)
    assert example.tags is None and example.mask is None


def test_voc_masks_have_voc_order(tmp_path):
    root = fake_data.write_voc(tmp_path)
    (root / "tags.csv").write_text("2007_000000.jpg,aeroplane\n")
    assert len(make_source(config(root), "train_aug").classes) == 21


def test_val_is_a_fixed_share_of_the_masked(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat",) * 10)
    splits = {
        s: make_source(config(root, val_share=0.3), s).ids for s in ("train", "val")
    }
    assert splits["val"] == ("photo_1", "photo_4", "photo_7")
    assert sorted(splits["train"] + splits["val"]) == [f"photo_{n}" for n in range(10)]


def test_without_masks_photos_are_held_out_too(tmp_path):
    root = fake_data.write_folder(tmp_path, masks=False)
    source = make_source(config(root), "train")
    assert len(source) == 3 and len(source.reading.held_out) == 1
    refuses("split val is empty: nothing is held out", root, "val", val_share=0)


def test_list_makes_a_split(tmp_path):
    root = fake_data.write_folder(tmp_path)
    (root / "splits").mkdir()
    (root / "splits/few.txt").write_text("photo_3\nimages/photo_1.jpg\n\n")
    assert make_source(config(root), "few").ids == ("photo_3", "photo_1")
    (root / "splits/few.txt").write_text("photo_7\n")
    refuses("no image 'photo_7'", root, "few")
    (root / "splits/few.txt").write_text("\n")
    refuses("split few is empty", root, "few")
    refuses("no split 'test'", root, "test")


def test_listed_images_are_in_no_other_split(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat",) * 10)
    (root / "splits").mkdir()
    (root / "splits/test.txt").write_text("photo_1\nphoto_2\n")
    train, val = (make_source(config(root), s).ids for s in ("train", "val"))
    rest = {f"photo_{n}" for n in (0, 3, 4, 5, 6, 7, 8, 9)}
    assert set(train) | set(val) == rest and len(val) == 1 and len(train) == 7
    (root / "splits/train.txt").write_text("".join(f"{i}\n" for i in rest))
    refuses("there is no split 'val'; there are test, train, all", root, "val")


def test_other_masks_replace_the_own(tmp_path):
    root = fake_data.write_folder(tmp_path / "data")
    new = fake_data.striped_mask([2, 1])
    fake_data.write_mask(tmp_path / "new/photo_1.png", new)
    source = make_source(config(root, masks=str(tmp_path / "new")), "all")
    np.testing.assert_array_equal(source.record(1).mask(), new)
    assert source.record(0).mask() is None
    refuses("nowhere: no such directory", root, masks="nowhere")


def test_missing_or_empty_directory(tmp_path):
    refuses("config.data.root is empty", "")
    refuses(f"config.data.root={tmp_path}/none: no such directory", tmp_path / "none")
    refuses("holds no image; give a folder of photographs", tmp_path)


def test_images_without_any_tag_or_class(tmp_path):
    fake_data.write_image(tmp_path / "a.jpg")
    refuses("has neither tags nor classes.txt", tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("photo_9.jpg,cat", "tags.csv line 6: 'photo_9.jpg' is the name of no image"),
        ("photo_1.jpg,cat", "tags.csv line 6: a second row for 'photo_1.jpg'"),
        ("photo_1.jpg,cat,dog", "the tag 'cat dog' may be one name or several"),
    ],
)
def test_bad_rows(tmp_path, row, message):
    root = fake_data.write_folder(tmp_path)
    with open(root / "tags.csv", "a") as table:
        table.write(row + "\n")
    refuses(message, root)


def test_unknown_tag(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat", "cow"), masks=False)
    (root / "classes.txt").write_text("cat\ndog\n")
    refuses("image 'photo_1': unknown tag 'cow'; the classes are cat, dog", root)


def test_class_names_must_be_distinct(tmp_path):
    root = fake_data.write_folder(tmp_path)
    (root / "classes.txt").write_text("cat\ncat\n")
    refuses("class names must be distinct", root)


def test_files_that_differ_by_suffix_only(tmp_path):
    root = fake_data.write_folder(tmp_path)
    fake_data.write_image(root / "images/photo_0.png")
    refuses("differ only by suffix", root)


def test_mask_of_another_size(tmp_path):
    root = fake_data.write_folder(tmp_path)
    fake_data.write_mask(root / "masks/photo_2.png", np.zeros((30, 20)))
    refuses("the mask of 'photo_2' is 20x30 pixels but its image is 30x20", root)


def test_class_id_out_of_range(tmp_path):
    root = fake_data.write_folder(tmp_path)
    fake_data.write_mask(root / "masks/photo_2.png", fake_data.striped_mask([3]))
    refuses("photo_2.png: holds class id 3", root)


def test_evaluation_leaves_bad_images_out_when_asked(tmp_path):
    root = fake_data.write_folder(tmp_path)
    (root / "images/photo_1.jpg").write_bytes(b"broken")
    refuses("photo_1.jpg: cannot be read as an image", root)
    source = make_source(config(root), "all")
    examples = list(make_eval({"on_bad_image": "skip"}, source))
    assert [e.id for e in examples] == ["photo_0", "photo_2", "photo_3"]
    assert list(source.skipped) == ["photo_1"]


def test_settings_are_checked(tmp_path):
    root = fake_data.write_folder(tmp_path)
    refuses("config.data.rooot is not a setting of source folder", root, rooot=1)
    refuses(
        "config.data.val_share=2: give a number of at least 0 and at most",
        root,
        val_share=2,
    )
    with pytest.raises(UserError, match="config.data.root is missing"):
        make_source({"source": "folder"}, "all")
    with pytest.raises(
        UserError, match="config.data.source='coco': give one of cityscapes, folder"
    ):
        make_source({"source": "coco"}, "all")


def test_classes_of_a_checkpoint_must_agree(tmp_path):
    root = fake_data.write_folder(tmp_path)
    more = ("background", "cat", "cow", "dog")
    assert make_source(config(root), "all", classes=more).classes == more
    with pytest.raises(UserError, match="checkpoint was trained with"):
        make_source({"source": "shapes"}, "val", classes=more)
