import itertools
import subprocess
import sys

import ml_collections
import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import make_source, make_train, order
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data

SHAPES = {
    "source": "shapes",
    "train_size": 10,
    "size": 40,
    "batch_size": 4,
    "crop": 32,
    "long_side": (24, 48),
    "with_masks": True,
}


def batches(count, config=SHAPES, source=None, **arguments):
    source = source or make_source(config, "train")
    arguments = {"seed": 7, **arguments}
    return list(
        itertools.islice(make_train(config, source, reads="dense", **arguments), count)
    )


def equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture(scope="module")
def stream():
    return batches(8)


def test_batch_has_the_contracted_arrays(stream):
    layout = {k: (v.shape, v.dtype) for k, v in stream[0].items()}
    assert layout == {
        "image": ((4, 32, 32, 3), np.uint8),
        "valid": ((4, 4), np.int32),
        "tags": ((4, 6), np.float32),
        "mask": ((4, 32, 32), np.int32),
    }
    for batch in stream:
        assert (batch["tags"][:, 0] == 1).all()
        for image, mask, (y0, x0, y1, x1) in zip(
            batch["image"], batch["mask"], batch["valid"], strict=True
        ):
            outside = np.ones((32, 32), bool)
            outside[y0:y1, x0:x1] = False
            assert (mask[outside] == IGNORE).all() and (image[outside] == 0).all()
            assert (mask[~outside] != IGNORE).all()


def test_masks_are_left_out_by_default():
    config = {k: v for k, v in SHAPES.items() if k != "with_masks"}
    assert set(batches(1, config)[0]) == {"image", "valid", "tags"}


def test_resumed_equals_uninterrupted(stream):
    equal(batches(4, start_step=4), stream[4:])


def test_other_seed_gives_another_order(stream):
    assert (batches(1, seed=8)[0]["image"] != stream[0]["image"]).any()


def test_processes_share_the_global_batch(stream):
    parts = [batches(8, process_index=p, process_count=2) for p in range(2)]
    joined = [
        {name: np.concatenate([a[name], b[name]]) for name in a}
        for a, b in zip(*parts, strict=True)
    ]
    equal(joined, stream)


@pytest.mark.parametrize("workers", [1, 3])
def test_number_of_workers_changes_nothing(stream, workers):
    equal(batches(8, {**SHAPES, "workers": workers}), stream)


def test_batch_size_can_be_given(stream):
    """The stream is one sequence of images, cut into batches."""
    images = np.concatenate([b["image"] for b in stream])
    other = np.concatenate([b["image"] for b in batches(16, batch_size=2)])
    np.testing.assert_array_equal(images, other)


def test_every_epoch_shows_every_image_once():
    seen = [order.image_at(3, position, 10) for position in range(30)]
    epochs = [seen[n : n + 10] for n in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_scale_is_of_the_photo(tmp_path):
    """Photos of 20 x 30 pixels; the factor is the same along both axes."""
    config = folder(fake_data.write_folder(tmp_path), scale=(0.5, 1.5), crop=64)
    del config["long_side"]
    sides = [
        tuple(valid[2:] - valid[:2])
        for batch in batches(30, config, make_source(config, "all"))
        for valid in batch["valid"]
    ]
    heights, widths = np.array(sides).T
    assert heights.min() < 13 and heights.max() > 27
    assert widths.min() >= 15 and widths.max() <= 45
    assert (abs(heights * 1.5 - widths) <= 1.25).all()


def test_rectangular_crops_with_an_aspect(tmp_path):
    data = {
        "source": "folder",
        "root": str(fake_data.write_folder(tmp_path)),
        "batch_size": 2,
        "crop": (16, 24),
        "scale": (0.5, 2.0),
        "aspect": (0.9, 1.1),
        "with_masks": True,
    }
    batch = next(make_train(data, make_source(data, "all"), reads="dense", seed=0))
    assert batch["image"].shape == (2, 16, 24, 3)
    assert batch["mask"].shape == (2, 16, 24)


def test_order_never_changes():
    assert order.permutation(3, 1, 8).tolist() == [7, 3, 5, 6, 4, 0, 2, 1]
    draws = order.Draws(3, 1)
    assert [draws.integer(0, 99) for _ in range(5)] == [82, 33, 28, 67, 74]


def folder(root, **fields):
    stream = {"batch_size": 2, "crop": 32, "long_side": (16, 24)}
    return {"source": "folder", "root": str(root), **stream, **fields}


def test_photos_smaller_than_the_crop_are_padded(tmp_path):
    config = folder(fake_data.write_folder(tmp_path))
    for batch in batches(4, config, make_source(config, "all")):
        height, width = (batch["valid"][:, 2:] - batch["valid"][:, :2]).T
        assert (width >= 16).all() and (width <= 24).all() and (height < width).all()


def test_tags_belong_to_their_image(tmp_path):
    """Photos of one colour each, so that a batch row says which photo it is."""
    colours = {"red": (200, 0, 0), "blue": (0, 0, 200)}
    for name, colour in colours.items():
        array = np.full((20, 30, 3), colour, np.uint8)
        fake_data.write_image(tmp_path / name / "a.png", array)
    config = folder(tmp_path)
    source = make_source(config, "all")
    assert source.classes == ("background", "blue", "red")
    for batch in batches(6, config, source):
        red = batch["image"].max((1, 2))[:, 0] > 100
        np.testing.assert_array_equal(batch["tags"][:, 2], red)
        np.testing.assert_array_equal(batch["tags"][:, 1], ~red)


def test_bad_image_stops_with_one_line(tmp_path):
    config = folder(fake_data.write_folder(tmp_path))
    (tmp_path / "images/photo_2.jpg").write_bytes(b"broken")
    with pytest.raises(UserError, match="photo_2.jpg: cannot be read") as caught:
        batches(4, config, make_source(config, "all"))
    assert "\n" not in str(caught.value)


def test_bad_images_are_replaced_and_listed(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat", "dog", "", "dog", "cat"))
    (root / "images/photo_0.jpg").write_bytes(b"broken")
    config = folder(root, on_bad_image="skip")
    source = make_source(config, "all")
    whole = batches(6, config, source)
    assert sorted(source.skipped) == ["photo_0", "photo_2"]
    assert "has no tag" in source.skipped["photo_2"]
    equal(
        batches(3, config, start_step=3, source=make_source(config, "all")), whole[3:]
    )


def test_only_bad_images(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat", "dog"))
    for name in ("photo_0", "photo_1"):
        (root / f"images/{name}.jpg").write_bytes(b"broken")
    config = folder(root, on_bad_image="skip")
    with pytest.raises(UserError, match="none of the 2 images can be used"):
        batches(1, config, make_source(config, "all"))


@pytest.mark.parametrize("row", ["", None])
def test_photo_without_tag_stops_at_launch(tmp_path, row):
    root = fake_data.write_folder(tmp_path, tags=("cat", "dog") + (("",) * (row == "")))
    if row is None:
        fake_data.write_image(root / "images/photo_2.jpg")
    config = folder(root)
    source = make_source(config, "all")
    with pytest.raises(UserError, match="image 'photo_2' has no tag; give it one"):
        make_train(config, source, reads="dense", seed=0)


def test_photos_without_tags_cannot_train(tmp_path):
    fake_data.write_image(tmp_path / "a.jpg")
    config = folder(tmp_path, batch_size=1)
    source = make_source(config, "all", classes=("background", "cat"))
    with pytest.raises(UserError, match="image 'a' has no tags"):
        batches(1, config, source)


def test_asked_masks_must_be_there(tmp_path):
    config = folder(fake_data.write_folder(tmp_path, masks=False), with_masks=True)
    with pytest.raises(UserError, match="has no mask; add one"):
        batches(1, config, make_source(config, "all"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop": (1, 2, 3)}, r"crop=\(1, 2, 3\): give a whole number .* or 2 values"),
        ({"crop": (8, 0)}, r"config.data.crop=\(8, 0\)"),
        ({"long_side": (9, 8)}, r"long_side=\(9, 8\): give 2 .* in ascending order"),
        ({"long_side": None}, "long_side and config.data.scale: give one of them"),
        ({"scale": (0.5, 1.5)}, "long_side and config.data.scale: give one of them"),
        ({"on_bad_image": "ask"}, "on_bad_image='ask': give one of stop, skip"),
        ({"way": 2}, "data.way is not a setting of training on photos; its settings"),
    ],
)
def test_wrong_settings(fields, message):
    with pytest.raises(UserError, match=message):
        batches(1, {**SHAPES, **fields}, make_source(SHAPES, "train"))


def test_batch_must_divide_among_processes():
    with pytest.raises(UserError, match="not a multiple of the 3 processes"):
        batches(1, process_count=3)


def test_missing_setting_is_named():
    config = {k: v for k, v in SHAPES.items() if k != "crop"}
    with pytest.raises(UserError, match="config.data.crop is missing"):
        batches(1, config)


@pytest.mark.slow
def test_interpreter_ends_while_a_stream_is_open():
    """The threads of tf.data must not keep a finished program alive."""
    program = (
        "from ppcjax.data_pipelines import make_source, make_train\n"
        f"config = {SHAPES}\n"
        "stream = make_train(\n"
        "    config, make_source(config, 'train'), reads='dense', seed=0\n)\n"
        "next(stream)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_config_dict_and_plain_dict_agree(stream):
    config = ml_collections.ConfigDict({**SHAPES, "train_split": "train"}).lock()
    equal(batches(2, config), stream[:2])


def test_saliency_is_cut_as_the_image_is(tmp_path):
    root = fake_data.write_folder(tmp_path / "photos", tags=("cat", "dog"))
    maps = tmp_path / "maps"
    maps.mkdir()
    config = folder(root, saliency=str(maps), batch_size=2)
    source = make_source(config, "all")
    with pytest.raises(UserError, match="photo_..png: no such map"):
        batches(1, config, source)
    for index, name in enumerate(source.ids):
        pixels = source.record(index).photo(0).pixels
        Image.fromarray(pixels[..., 1]).save(maps / f"{name}.png")
    (batch,) = batches(1, config, source)
    assert batch["saliency"].dtype == np.uint8
    np.testing.assert_array_equal(batch["saliency"], batch["image"][..., 1])
    Image.fromarray(pixels[:-1, :, 1]).save(maps / f"{name}.png")
    with pytest.raises(UserError, match="make the map at the size of the image"):
        batches(1, config, source)
