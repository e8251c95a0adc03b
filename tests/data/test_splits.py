"""Which photos are held out, and what a split is called."""

import random
from pathlib import Path

import pytest

from ppcjax.data_pipelines.sources import splits
from ppcjax.types import UserError

SHARES = (0.05, 0.1, 0.2, 0.33, 0.5)


def drawn(shown, ids=None, share=0.1, seed=0, candidates=None):
    ids = tuple(shown if ids is None else ids)
    return splits.hold_out(
        ids,
        share=share,
        seed=seed,
        shown=shown,
        candidates=ids if candidates is None else candidates,
    )


def one_class_each(*counts):
    return {
        f"{name}_{i}": (f"class {name}",)
        for name, count in enumerate(counts)
        for i in range(count)
    }


def several_classes(seed, photos=200, classes=8):
    """Photos of classes of which each is half as frequent as the one before."""
    draw = random.Random(seed)
    return {
        f"p{i}": tuple(
            f"class {c}" for c in range(classes) if draw.random() < 0.7 * 0.6**c
        )
        or ("background",)
        for i in range(photos)
    }


def count(shown, ids):
    found = {}
    for i in ids:
        for name in shown[i]:
            found[name] = found.get(name, 0) + 1
    return found


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(
    "counts", [(10, 10), (14,) * 10, (10, 100, 1000), (1, 2, 3, 40), (500, 11), (30,)]
)
@pytest.mark.parametrize("seed", range(3))
def test_a_share_of_every_class(share, counts, seed):
    shown = one_class_each(*counts)
    held = count(shown, drawn(shown, share=share, seed=seed))
    for number, whole in enumerate(counts):
        out = held.get(f"class {number}", 0)
        assert out < whole
        if whole >= 10:
            assert abs(out - round(share * whole)) <= 1, (number, out)
    bound = len(counts) / 2 + 1
    assert abs(sum(held.values()) - share * sum(counts)) <= bound


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("seed", range(5))
def test_photos_of_several_classes(share, seed):
    shown = several_classes(seed)
    held = drawn(shown, share=share, seed=seed)
    whole, out = count(shown, shown), count(shown, held)
    for name, number in whole.items():
        assert out.get(name, 0) < number
        if number >= 10:
            assert out[name] >= round(share * number) - 1
    assert round(share * 200) <= len(held) <= 1.3 * share * 200 + 8


@pytest.mark.parametrize("make", [several_classes, lambda s: one_class_each(30, 20)])
def test_neither_order_nor_time_decides(make):
    shown = make(0)
    ids = list(shown)
    first = drawn(shown, ids)
    assert list(first) == [i for i in ids if i in set(first)]
    for seed in range(5):
        random.Random(seed).shuffle(ids)
        turned = {i: tuple(reversed(shown[i])) for i in ids}
        assert set(drawn(turned, ids)) == set(first)
    assert set(drawn(shown, seed=1)) != set(first)


@pytest.mark.parametrize("seed", range(10))
def test_one_photo_more_moves_few(seed):
    shown = one_class_each(40, 60)
    before = set(drawn(shown, seed=seed))
    after = set(drawn(shown | {"new": ("class 0",)}, seed=seed))
    assert len(before ^ after) <= 3


def test_only_candidates_are_held_out_and_something_stays():
    shown = one_class_each(20, 20)
    masked = [i for i in shown if i.endswith(("1", "2"))]
    assert set(drawn(shown, candidates=masked, share=0.3)) <= set(masked)
    assert drawn(one_class_each(1, 1, 1)) == ()
    assert drawn({"a": ()}) == () and drawn({}, share=0.5) == ()
    assert len(drawn({"a": (), "b": ()})) == 1
    assert drawn(shown, share=0) == ()
    assert len(drawn(one_class_each(5, 5), share=1.0)) == 8


@pytest.mark.parametrize(
    ("there", "asked", "meant"),
    [
        (("training", "validation"), "train", "training"),
        (("training", "validation"), "val", "validation"),
        (("train", "valid"), "val", "valid"),
        (("train", "dev"), "val", "dev"),
        (("train", "testing"), "test", "testing"),
        (("Train", "Val"), "train", "Train"),
        (("TRAIN", "Validation"), "val", "Validation"),
        (("train2017", "val2017"), "train", "train2017"),
        (("train2017", "val2017"), "val", "val2017"),
        (("train", "train2017"), "train", "train"),
        (("train", "train_aug"), "train_aug", "train_aug"),
        (("train", "train_aug"), "training", "train"),
        (("train2014", "train2017"), "train", None),
        (("train", "val"), "test", None),
        (("trainval", "test"), "train", None),
        (("fold1", "fold2"), "Fold1", "fold1"),
        (("fold1", "fold2"), "fold3", None),
    ],
)
def test_names_of_splits(there, asked, meant):
    given = {name: (name,) for name in there}
    found = splits.Splits(given)
    if meant is None:
        with pytest.raises(UserError, match=f"no split '{asked}'; there are"):
            found.get(asked, Path("data"))
        assert splits.members(given, asked) == ()
    else:
        assert found.get(asked, Path("data")) == (meant,)
        assert splits.members(given, asked) == (meant,)


def found(root, ids="abcdefghij", given=None, **options):
    settings = {"share": 0.2, "seed": 0, "shown": {}, "candidates": tuple(ids)}
    return splits.find(root, tuple(ids), given or {}, **settings | options)


def write(root, **lists):
    (root / "splits").mkdir(exist_ok=True)
    for name, ids in lists.items():
        (root / f"splits/{name}.txt").write_text("\n".join(ids))


@pytest.mark.parametrize("names", [("train", "val"), ("training", "test")])
@pytest.mark.parametrize("by_lists", [True, False])
def test_lists_that_overlap_are_warned_of(tmp_path, names, by_lists):
    first, second = names
    lists = {first: tuple("abcde"), second: tuple("defghij")}
    if by_lists:
        write(tmp_path, **lists)
    result = found(tmp_path, given=None if by_lists else lists)
    assert result.get(first, tmp_path) == tuple("abcde")
    message = f"2 photos are in split {first} and in split {second}, such as d"
    assert [line for line in result.warnings if message in line]
    write(tmp_path, **{first: "abc", second: "defghij"})
    assert found(tmp_path).warnings == ()


def test_what_lists_leave_is_the_other_split(tmp_path):
    write(tmp_path, val="ab")
    result = found(tmp_path)
    assert result.get("train", tmp_path) == tuple("cdefghij")
    assert result.get("validation", tmp_path) == ("a", "b")
    assert result.get("all", tmp_path) == tuple("abcdefghij")
    write(tmp_path, val="abk")
    with pytest.raises(UserError, match="val.txt: no image 'k' there"):
        found(tmp_path)


def test_years_are_splits_that_are_given(tmp_path):
    given = {"train2017": tuple("abcdefgh"), "val2017": tuple("hij")}
    result = found(tmp_path, given=given)
    assert "1 photos are in split train2017" in result.warnings[0]
    assert set(result.ids) == {"train2017", "val2017", "all"}


def test_the_lists_of_a_run_are_kept(tmp_path):
    first = found(tmp_path)
    val = first.ids["val"]
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("train", "val"):
        (kept / f"{name}.txt").write_text("\n".join(first.ids[name]) + "\n")
    again = found(tmp_path, ids="abcdefghijklm", lists=kept, seed=5)
    assert (again.ids["val"], again.held_out) == (val, val)
    assert (
        "3 photos are newer" in again.warnings[0] and "such as k" in again.warnings[0]
    )
    gone = [i for i in "abcdefghij" if i != val[0]]
    again = found(tmp_path, ids=gone, lists=kept)
    assert again.ids["val"] == val[1:] and "1 photos that the run" in again.warnings[0]
    assert found(tmp_path, ids="xyz", lists=kept).warnings == ()
