"""Very large photos: bounded memory, predicted reduced, masks at the full size."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import examples, images, large, pictures
from ppcjax.data_pipelines.images import Photo, read_photo
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.data_pipelines.sources.photos import photos
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.results import results
from ppcjax.predict.photos import Predictor
from ppcjax.predict.prediction import Prediction
from ppcjax.types import UserError
from tests.data.photo_content import content
from tests.predict.test_photos import CLASSES, counting_run


def halves(height, width):
    """Red above green, and the mask of that."""
    mask = np.ones((height, width), np.int32)
    mask[height // 2 :] = 2
    return np.eye(3, dtype=np.uint8)[mask - 1] * 255, mask


@pytest.fixture
def small_bound(monkeypatch):
    """As if more than 2,000 pixels were too many to predict."""
    monkeypatch.setattr(large, "MOST_PREDICTED", 2000)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((4000, 4000), (4000, 4000)),
        ((9000, 12000), (3464, 4618)),
        ((1, 65_500), (1, 65_500)),
        ((30_000, 2000), (15491, 1032)),
    ],
)
def test_sizes_at_which_photos_are_predicted(size, wanted):
    assert large.predicted_size(*size) == wanted


def test_photos_that_are_not_large_stay_as_they_are():
    pixels, mask = halves(40, 50)
    assert large.reduced(Photo(pixels, 40, 50)) is pixels
    assert large.nearest(mask, (40, 50)) is mask


@pytest.mark.parametrize("size", [(3, 4), (7, 9), (40, 50), (80, 20), (1, 1)])
def test_masks_keep_their_ids_and_their_place(size):
    _, mask = halves(40, 50)
    found = large.nearest(mask, size)
    assert found.shape == size and set(np.unique(found)) <= {1, 2}
    if size[0] % 2 == 0:
        np.testing.assert_array_equal(found, halves(*size)[1])


def source_of(pixels, mask):
    record = Record(
        "a/b", lambda at_least: Photo(pixels, *mask.shape), lambda: None, lambda: mask
    )
    return Source("toy", CLASSES, ("a/b", "c", "d"), lambda index: record)


def test_evaluation_compares_where_it_predicts(small_bound, caplog):
    pixels, mask = halves(100, 80)
    found = list(examples.eval_stream(source_of(pixels, mask)))
    assert len(found) == 3
    assert found[0].image.shape == (50, 40, 3) and found[0].full_size == (100, 80)
    np.testing.assert_array_equal(found[0].mask, halves(50, 40)[1])
    first, last = (record.getMessage() for record in caplog.records)
    assert "a/b: a photo of 80x100 is predicted at 40x50" in first
    assert last == "3 photos were predicted reduced"
    caplog.clear()
    pixels, mask = halves(40, 50)
    one = next(examples.eval_stream(source_of(pixels, mask)))
    assert one.image is pixels and one.mask is mask and one.full_size is None
    assert not caplog.records


def test_masks_that_are_written_have_the_full_size(small_bound, tmp_path):
    example = next(examples.eval_stream(source_of(*halves(100, 80))))
    scores = np.eye(3, dtype=np.float32)[example.mask]
    labels = example.mask.astype(np.uint8), example.mask.astype(np.uint8)
    prediction = Prediction(example, scores, np.ones(3, bool), labels=labels)
    files.write_prediction(prediction, results(tmp_path), threshold=0.5)
    for name in ("masks", "labels", "labels_low", "labels_high"):
        with Image.open(tmp_path / name / "a/b.png") as image:
            np.testing.assert_array_equal(np.asarray(image), halves(100, 80)[1])
    _, written = files.read_scores(tmp_path, "a/b", num_classes=3)
    assert written.shape == (2, 50, 40)


@pytest.mark.parametrize("kind", ["array", "image", "path"])
def test_masks_from_python_have_the_full_size(small_bound, kind, tmp_path, caplog):
    pixels, mask = halves(96, 80)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    given = {
        "array": pixels,
        "image": Image.fromarray(pixels),
        "path": tmp_path / "a.png",
    }[kind]
    found = Predictor(counting_run([]), 0.5).predict(given)
    assert found.mask.shape == (96, 80) and found.scores.shape == (48, 40, 3)
    assert (found.mask == mask).mean() > 0.9
    assert "predicted at 40x48" in caplog.text


@pytest.fixture
def small_limit(monkeypatch):
    """As if more than 20,000 pixels were too many to decode."""
    monkeypatch.setattr(images, "MOST_PIXELS", 20_000)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 20_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)


@pytest.mark.parametrize("at_least", [0, 10, 500])
def test_jpegs_beyond_the_limit_are_decoded_reduced(small_limit, at_least):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = content(Image.fromarray(halves(300, 500)[0]), "JPEG", exif=exif)
    photo = read_photo(data, "x", at_least=at_least)
    assert (photo.height, photo.width) == (500, 300)
    assert photo.pixels.shape[:2] == ((125, 75) if at_least != 10 else (63, 38))


def test_other_photos_beyond_the_limit_are_one_line(small_limit, tmp_path):
    image = Image.fromarray(halves(300, 500)[0])
    for form, options in (("PNG", {}), ("TIFF", {}), ("JPEG", {"progressive": True})):
        with pytest.raises(UserError, match="p.png: has more than .* baseline JPEG"):
            read_photo(content(image, form, **options), "p.png")


def test_a_jpeg_beyond_the_limit_is_evaluated(small_limit, small_bound, tmp_path):
    Image.fromarray(halves(300, 500)[0]).save(tmp_path / "a.jpg")
    (example,) = examples.eval_stream(photos(str(tmp_path), CLASSES))
    assert example.full_size == (300, 500) and example.image.shape == (34, 57, 3)


_PEAK = """
import re, sys
from pathlib import Path
from ppcjax.predict.photos import Predictor
from tests.predict.test_photos import counting_run
run = counting_run([])
run.config["eval"]["flip"] = False
found = Predictor(run, 0.5).predict(sys.argv[1])
assert found.mask.shape == (6000, 10000)
# The peak that getrusage gives begins with that of the process it was started by.
status = Path("/proc/self/status")
print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0)
"""


@pytest.mark.slow
def test_60_megapixels_take_no_more_memory_than_16(tmp_path):
    """Scores of the whole photo alone would take 720 MB, several times over."""
    file = tmp_path / "a.png"
    Image.fromarray(halves(6000, 10_000)[0]).save(file)
    command = [sys.executable, "-c", _PEAK, str(file)]
    one_device = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env=one_device
    )
    assert int(found.stdout) < 2_000_000  # KiB
