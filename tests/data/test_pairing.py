"""Which mask is whose: never a wrong pair, and none where two may be meant."""

import itertools
from pathlib import Path

import pytest

from ppcjax.data_pipelines.sources import pairing, stems

STEMS = {
    "numbers": ("1", "2", "10", "11", "21"),
    "padded": ("0001", "0002", "0010", "0100"),
    "ISIC": ("ISIC_0000001", "ISIC_0000011", "ISIC_0000012"),
    "nested": ("a", "a_b", "a_b_c", "b", "c"),
    "sides": ("x_l", "x_r", "x_p", "y_l"),
    "spaces": ("my photo", "my photo 2", "my other photo"),
    "case": ("IMG_1", "IMG_2", "img 3"),
    "folders": ("cat/1", "dog/1", "dog/2"),
}
FORMS = {
    "same": ("{}", "{}"),
    "segmentation": ("{}", "{}_segmentation"),
    "mask": ("{}", "{}_mask"),
    "mask before": ("{}", "mask_{}"),
    "sat": ("{}_sat", "{}_mask"),
    "both before": ("img_{}", "mask_{}"),
    "image and label": ("image-{}", "label-{}"),
    "label ids": ("{}_leftImg8bit", "{}_gtFine_labelIds"),
    "CamVid": ("{}", "{}_L"),
    "unknown word": ("{}", "{}_roi"),
    "unknown word and dots": ("{}", "{}.tracing"),
}


def named(form, key):
    folder, slash, stem = key.rpartition("/")
    return folder + slash + form.format(stem)


def files(*keys):
    return {key: Path(f"{key}.png") for key in keys}


def pair(photos, masks, classes=()):
    return pairing.pair(tuple(photos), files(*masks), classes)


def whole(photos, masks, classes=()):
    found = pair(photos, masks, classes)
    return {k: str(file.with_suffix("")) for k, file in found.whole.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stems", STEMS)
def test_every_mask_goes_to_its_photo(stems, form):
    """Also where some masks are missing: the others are of nobody else."""
    of_photo, of_mask = FORMS[form]
    right = {named(of_photo, k): named(of_mask, k) for k in STEMS[stems]}
    assert whole(right, right.values()) == right
    for count in range(1, len(right)):
        for some in itertools.combinations(right, count):
            found = whole(right, [right[photo] for photo in some])
            wrong = {p: m for p, m in found.items() if right[p] != m}
            assert not wrong, (some, wrong)


@pytest.mark.parametrize("form", FORMS)
def test_masks_of_photos_that_are_gone_are_of_nobody(form):
    of_photo, of_mask = FORMS[form]
    for names in STEMS.values():
        right = {named(of_photo, k): named(of_mask, k) for k in names}
        for gone in right:
            photos = [photo for photo in right if photo != gone]
            found = whole(photos, right.values())
            wrong = {p: m for p, m in found.items() if right[p] != m}
            assert not wrong, (gone, wrong)


@pytest.mark.parametrize(
    ("photos", "masks"),
    [
        (("img_1", "photo_1"), ("mask_1",)),
        (("1", "img_1"), ("mask_1",)),
        (("1", "1_sat"), ("1_mask",)),
        (("A", "a"), ("a_mask",)),
        (("a",), ("a_mask", "a_label")),
        (("a",), ("a_1", "a_2", "a_3")),
        (("a",), ("x/a", "y/b", "z/a")),
        (("x/a", "y/a"), ("a",)),
        (("dog/1", "cat/2"), ("cat/1", "dog/2")),
        (("train/1", "train/2"), ("val/1", "val/2")),
        (("a", "img_b"), ("c_mask",)),
        (("1",), ("11", "10", "21_mask")),
    ],
)
def test_where_two_may_be_meant_there_is_none(photos, masks):
    found = pair(photos, masks, ("cow", "grass"))
    assert (found.whole, found.parts) == ({}, {})
    assert len(found.alone) == len(masks)


def test_a_second_mask_is_not_that_of_another_photo():
    found = whole(("a", "img_a", "b"), ("a", "a_mask", "b"))
    assert found == {"a": "a", "b": "b"}
    found = whole(("1", "img_1", "2"), ("1_mask", "img_1_mask", "2_mask"))
    assert found == {"1": "1_mask", "img_1": "img_1_mask", "2": "2_mask"}


def test_folders_that_only_one_of_both_has():
    assert whole(("train/a", "val/b"), ("a", "b")) == {"train/a": "a", "val/b": "b"}
    assert whole(("a", "b"), ("x/a", "y/b"), ("cow",)) == {"a": "x/a", "b": "y/b"}


CLASSES = ("cow", "tall grass", "b cow")
PER_CLASS = {
    "folder": "{name}/{key}",
    "folder of the photo": "{key}/{name}",
    "suffix": "{key}_{name}",
    "suffix with a hyphen": "{key}-{name}",
}


@pytest.mark.parametrize("form", PER_CLASS)
@pytest.mark.parametrize("spelling", [str, str.title, lambda n: n.replace(" ", "_")])
def test_a_mask_per_class(form, spelling):
    photos = ("p1", "p2", "p10")
    names = CLASSES[:2]
    masks = {
        (key, name): PER_CLASS[form].format(key=key, name=spelling(name))
        for key in photos
        for name in names
    }
    found = pair(photos, masks.values(), names)
    assert found.whole == {}
    assert found.parts == {
        key: tuple((n, Path(f"{masks[key, n]}.png")) for n in names) for key in photos
    }


@pytest.mark.parametrize("form", ["folder", "folder of the photo"])
def test_a_mask_per_class_of_unknown_names(form):
    masks = [
        PER_CLASS[form].format(key=key, name=name)
        for key in ("p1", "p2")
        for name in ("cow", "grass")
    ]
    found = pair(("p1", "p2"), masks)
    assert {p: {n for n, _ in parts} for p, parts in found.parts.items()} == {
        "p1": {"cow", "grass"},
        "p2": {"cow", "grass"},
    }


def test_masks_of_classes_that_may_be_of_two():
    # a_b_cow: the cow of a_b, or the class "b cow" of a.
    found = pair(("a", "a_b"), ("a_b_cow",), CLASSES)
    assert (found.whole, found.parts) == ({}, {})
    found = pair(("a",), ("cow/a", "Cow/a"), CLASSES)
    assert (found.whole, found.parts) == ({}, {})
    # Folders of photos 1 and 2, or of classes that are called so.
    found = pair(("1", "2"), ("1/2", "2/1"))
    assert (found.whole, found.parts) == ({}, {})


@pytest.mark.parametrize("word", stems.SURE_WORDS)
def test_masks_beside_photos(word):
    photos = {f"{key}": Path(f"{key}.jpg") for key in ("a", "b", "c")}
    masks = {f"{key}_{word}": Path(f"{key}_{word}.png") for key in photos}
    assert stems.beside(photos | masks) == masks
    assert stems.beside(photos) == {}
    # A photo of a label is none of a mask.
    assert stems.beside({f"{word}_1": Path("1.jpg"), "x": Path("x.jpg")}) == {}


def test_a_word_before_a_number_needs_no_separator():
    photos = {f"image{i}": Path(f"image{i}.jpg") for i in range(4)}
    masks = {f"mask{i}": Path(f"mask{i}.png") for i in range(4)}
    assert set(stems.beside(photos | masks)) == set(masks)
    found = pairing.pair(tuple(photos), masks)
    assert found.whole == {f"image{i}": Path(f"mask{i}.png") for i in range(4)}


def test_one_sub_folder_of_masks_is_no_class():
    masks = {f"trimaps/p{i}": Path(f"trimaps/p{i}.png") for i in range(4)}
    found = pairing.pair(tuple(f"p{i}" for i in range(4)), masks)
    assert not found.parts and len(found.whole) == 4
