"""Pairs of views: their statistics, their stream, the sources they are cut from."""

import itertools

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import make_source, make_train, views
from ppcjax.data_pipelines.crops import crop_box, draw_crop
from ppcjax.data_pipelines.order import Draws
from ppcjax.data_pipelines.sources.subset import take
from ppcjax.types import UserError
from tests.data import fake_data

SHAPES = {
    "source": "shapes",
    "train_size": 10,
    "size": 40,
    "batch_size": 4,
    "crop": 16,
    "scale": (0.2, 1.0),
    "ratio": (0.75, 1.3333),
    "train_split": "train",
    "eval_split": "val",
}


def batches(count, config=SHAPES, source=None, **arguments):
    source = source or make_source(config, config["train_split"])
    arguments = {"seed": 7, **arguments}
    return list(
        itertools.islice(make_train(config, source, reads="views", **arguments), count)
    )


def equal(left, right):
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture(scope="module")
def stream():
    return batches(6)


def test_batch_has_the_contracted_arrays(stream):
    layout = {k: (v.shape, v.dtype) for k, v in stream[0].items()}
    assert layout == {
        "image": ((4, 2, 16, 16, 3), np.uint8),
        "box": ((4, 2, 4), np.float32),
    }
    x0, y0, x1, y1 = np.concatenate([b["box"].reshape(-1, 4) for b in stream]).T
    assert (y0 < y1).all() and (x0 != x1).all()
    assert 0.2 < (x0 > x1).mean() < 0.8


def test_resumed_equals_uninterrupted(stream):
    equal(batches(3, start_step=3), stream[3:])


def test_processes_share_the_global_batch(stream):
    parts = [batches(6, process_index=p, process_count=2) for p in range(2)]
    joined = [
        {name: np.concatenate([a[name], b[name]]) for name in a}
        for a, b in zip(*parts, strict=True)
    ]
    equal(joined, stream)


def test_number_of_workers_changes_nothing(stream):
    equal(batches(6, {**SHAPES, "workers": 1}), stream)


def test_the_box_is_where_the_view_was_cut():
    """A photo whose colours are its coordinates says so itself."""
    size = 101
    ramp = np.round(np.linspace(0, 250, size)).astype(np.uint8)
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = ramp[None], ramp[:, None]
    for position in range(30):
        crop = draw_crop(size, size, Draws(1, position), scale=(0.2, 1), ratio=(1, 1))
        view = views.cut_crop(pixels, crop, 40, height=size, width=size) / 250.0
        x0, y0, x1, y1 = crop_box(crop, size, size)
        along = (np.arange(40) + 0.5) / 40
        x, y = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
        # Half a source pixel: boxes are between the centres of the outer pixels.
        np.testing.assert_allclose(view[20, :, 0], x, atol=0.5 / 100 + 1.5 / 250)
        np.testing.assert_allclose(view[:, 20, 1], y, atol=0.5 / 100 + 1.5 / 250)


def _mask_statistics(height, width, scale, count, grid=7, threshold=0.7):
    """Positives of simulated pairs, by the formula of the published loss."""
    boxes = np.array(
        [
            [
                crop_box(
                    draw_crop(height, width, draws, scale=scale, ratio=(3 / 4, 4 / 3)),
                    height,
                    width,
                )
                for _ in range(2)
            ]
            for draws in (Draws(11, i) for i in range(count))
        ],
        np.float64,
    )
    cell = (boxes[..., 2:] - boxes[..., :2]) / grid  # [N, 2, (x, y)]
    places = np.arange(grid) + 0.5
    centre = cell[..., None] * places + boxes[..., :2, None]  # [N, 2, (x, y), grid]
    diagonal = np.hypot(cell[..., 0], cell[..., 1]).max(1)
    dx = centre[:, 0, 0, :, None] - centre[:, 1, 0, None, :]
    dy = centre[:, 0, 1, :, None] - centre[:, 1, 1, None, :]
    squared = dy[:, :, None, :, None] ** 2 + dx[:, None, :, None, :] ** 2
    near = squared < (threshold * diagonal[:, None, None, None, None]) ** 2
    near = near.reshape(count, grid**2, grid**2)
    positives = near.sum((1, 2))
    cells = near.any(2)[positives > 0].mean()
    return (positives == 0).mean(), positives.mean(), np.median(positives), cells


@pytest.mark.parametrize(
    ("size", "scale", "empty", "mean", "median", "cells"),
    [
        ((375, 500), (0.08, 1.0), 0.024, 115, 129, 0.70),
        ((480, 640), (0.08, 1.0), 0.023, 116, 129, 0.70),
        ((96, 96), (0.08, 1.0), 0.013, 120, 132, 0.74),
        ((375, 500), (0.2, 1.0), 0.003, 122, 131, 0.78),
        ((96, 96), (0.2, 1.0), 0.0003, 126, 134, 0.81),
    ],
)
def test_statistics_of_positive_pairs(size, scale, empty, mean, median, cells):
    """Of 20,000 pairs simulated for the specification; here of 2,000."""
    found = _mask_statistics(*size, scale, 2000)
    assert abs(found[0] - empty) < 4 * np.sqrt(empty / 2000) + 5e-4
    assert abs(found[1] - mean) < 3 and abs(found[2] - median) <= 3
    assert abs(found[3] - cells) < 0.025


def test_evaluation_pairs_are_the_same_each_time():
    source = take(make_source(SHAPES, "val"), (0, 5, 9))
    first, second = (list(views.make_eval(SHAPES, source, seed=3)) for _ in range(2))
    assert [example.id for example in first] == ["val_00000", "val_00005", "val_00009"]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.pair.image, b.pair.image)
        np.testing.assert_array_equal(a.pair.box, b.pair.box)
    other = next(views.make_eval(SHAPES, source, seed=4))
    assert (other.pair.box != first[0].pair.box).any()


def of_photos(root, **fields):
    keep = {k: v for k, v in SHAPES.items() if k not in ("train_size", "size")}
    data = {"source": "photos", "root": str(root), "train_split": "all"}
    return {**keep, **data, "batch_size": 2, **fields}


def test_photos_are_found_at_any_depth_and_need_no_tags(tmp_path):
    for name in ("a.jpg", "deep/er/b.png", "deep/a.jpg", "deep/a.png", ".hidden/c.jpg"):
        fake_data.write_image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    config = of_photos(tmp_path)
    source = make_source(config, "all")
    assert source.ids == ("a.jpg", "deep/a.jpg", "deep/a.png", "deep/er/b.png")
    assert source.classes == ("background",) and len(batches(2, config, source)) == 2


def test_masks_beside_the_photos_are_no_photos(tmp_path):
    fake_data.write_folder(tmp_path / "folder")
    fake_data.write_voc(tmp_path / "voc")
    fake_data.write_image(tmp_path / "flat/a.jpg")
    fake_data.write_mask(tmp_path / "flat/masks/a.png", np.zeros((20, 30)))
    counts = [
        len(make_source(of_photos(tmp_path / name), "all"))
        for name in ("folder", "voc", "flat")
    ]
    assert counts == [4, 6, 1]


def test_splits_of_photos(tmp_path):
    for number in range(10):
        fake_data.write_image(tmp_path / f"{number}.jpg")
    config = of_photos(tmp_path, val_share=0.3)
    train, val = (make_source(config, name).ids for name in ("train", "val"))
    assert len(val) == 3 and sorted(train + val) == [f"{n}.jpg" for n in range(10)]
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/mine.txt").write_text("3\n5.jpg\n")
    assert make_source(config, "mine").ids == ("3", "5")
    assert not {"3", "5"} & set(make_source(config, "train").ids)
    with pytest.raises(UserError, match="there is no split 'val'|split val is empty"):
        make_source(of_photos(tmp_path), "val")


def test_folder_without_a_photo(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match=r"holds no image \(.jpg .*any depth"):
        make_source(of_photos(tmp_path), "all")
    with pytest.raises(UserError, match="no such directory"):
        make_source(of_photos(tmp_path / "none"), "all")


def test_unreadable_photo_stops_or_is_passed_over(tmp_path):
    for number in range(3):
        fake_data.write_image(tmp_path / f"{number}.jpg", seed=number)
    (tmp_path / "1.jpg").write_bytes(b"broken")
    config = of_photos(tmp_path)
    with pytest.raises(UserError, match="1.jpg: cannot be read") as caught:
        batches(2, config)
    assert "\n" not in str(caught.value)
    source = make_source(config, "all")
    assert len(batches(4, {**config, "on_bad_image": "skip"}, source)) == 4
    assert list(source.skipped) == ["1.jpg"]
    skipping = {**config, "on_bad_image": "skip"}
    assert len(list(views.make_eval(skipping, source, seed=0))) == 2
    with pytest.raises(UserError, match="1.jpg: cannot be read"):
        list(views.make_eval(config, source, seed=0))


def test_tagged_sources_serve_without_tags(tmp_path):
    voc = of_photos(fake_data.write_voc(tmp_path / "voc"), source="voc", tags="auto")
    assert len(batches(1, voc, make_source(voc, "train_aug"))) == 1
    fake_data.write_image(tmp_path / "plain/a.jpg")
    fake_data.write_image(tmp_path / "plain/b.jpg")
    plain = of_photos(tmp_path / "plain", source="folder")
    source = make_source(plain, "all", reads="views")
    assert source.classes == ("background",) and len(batches(2, plain, source)) == 2
    with pytest.raises(UserError, match="has neither tags nor classes.txt"):
        make_source(plain, "all")
    # A table that gives some photos no tag.
    table = fake_data.write_folder(tmp_path / "table", tags=("cat", "", "dog"))
    config = of_photos(table, source="folder")
    assert len(batches(2, config, make_source(config, "all"))) == 2


def test_large_jpegs_are_decoded_smaller(tmp_path):
    fake_data.write_image(tmp_path / "a.jpg", height=400, width=600)
    config = of_photos(tmp_path, crop=8, batch_size=1)
    source = make_source(config, "all")
    stream = views.ViewSettings.of(config)
    needed = views.pixels_needed(stream.crop, stream.scale, stream.ratio)
    assert max(source.record(0).photo(needed).pixels.shape) < 300
    (batch,) = batches(1, config, source)
    full = np.asarray(Image.open(tmp_path / "a.jpg"))
    for view, box in zip(batch["image"][0], batch["box"][0], strict=True):
        x0, y0, x1, y1 = box * np.array([599, 399, 599, 399])
        rows, columns = slice(round(y0), round(y1) + 1), sorted((round(x0), round(x1)))
        part = full[rows, columns[0] : columns[1] + 1]
        assert abs(part.mean((0, 1)) - view.mean((0, 1))).max() < 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop": 0}, "config.data.crop=0"),
        ({"scale": (0.0, 1.0)}, "config.data.scale="),
        ({"scale": (0.5, 1.5)}, "each a number above 0 and at most 1"),
        ({"ratio": (2.0, 1.0)}, "config.data.ratio="),
        ({"on_bad_image": "ask"}, "config.data.on_bad_image='ask'"),
        ({"long_side": (8, 9)}, "config.data.long_side is not a setting of training"),
        ({"batch_size": 3}, None),
    ],
)
def test_wrong_settings(fields, message):
    config = {**SHAPES, **fields}
    source = make_source(SHAPES, "train")
    if message is None:
        with pytest.raises(UserError, match="not a multiple of the 2 processes"):
            make_train(config, source, reads="views", seed=0, process_count=2)
        return
    with pytest.raises(UserError, match=message):
        make_train(config, source, reads="views", seed=0)


def test_folder_of_photos_that_cannot_be_read_says_which(tmp_path):
    (tmp_path / "a.cr2").write_bytes(b"raw")
    with pytest.raises(UserError, match=r"holds no image that .*1 \.cr2"):
        make_source(of_photos(tmp_path), "all")


def test_labels_that_nobody_reads_stop_no_photos(tmp_path):
    fake_data.write_image(tmp_path / "images/a.jpg")
    (tmp_path / "classes.txt").write_text("cat\ncat\n")
    (tmp_path / "instances_train.json").write_text("{")
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        fake_data.write_mask(tmp_path / folder / "a.png", np.zeros((20, 30)))
    assert len(make_source(of_photos(tmp_path), "all")) == 1
