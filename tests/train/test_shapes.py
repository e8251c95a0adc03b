"""The first step of training is the largest: all batches have one shape."""

import itertools

import jax
import numpy as np
import pytest

from ppcjax import data_pipelines
from ppcjax.train import feed, mesh, needs

DATA = {
    "dense": {
        "crop": 32,
        "long_side": (24, 96),
        "with_masks": True,
    },
    "episodes": {"crop": 32, "way": 1, "shot": 2, "query": 1},
    "views": {"crop": 32},
}


def test_there_is_data_for_every_reader():
    assert set(DATA) == set(data_pipelines.READERS)


@pytest.mark.slow
@pytest.mark.parametrize("reads", DATA)
def test_batches_of_photos_of_many_sizes_have_one_shape(reads, tmp_path):
    data = dict(
        source="shapes",
        size=64,
        batch_size=2,
        train_split="train",
        on_bad_image="stop",
        **DATA[reads],
    )
    source = data_pipelines.make_source(data, "train", reads=reads)
    batches = data_pipelines.make_train(data, source, reads=reads, seed=3)
    shapes = [
        jax.tree.map(lambda rows: (rows.shape, rows.dtype), batch)
        for batch in itertools.islice(batches, 6)
    ]
    assert all(shape == shapes[0] for shape in shapes)


def test_a_batch_of_another_shape_is_refused():
    rows = [{"image": np.zeros((8, n, 4, 3), np.uint8)} for n in (4, 4, 5)]
    batches = feed.to_devices(iter(rows), mesh.make_mesh())
    next(batches), next(batches)
    with pytest.raises(ValueError, match="follows one of"):
        next(batches)


def test_advice_names_only_what_the_config_has():
    small = {"data": {"batch_size": 1, "crop": 320}, "method": {"dtype": "bfloat16"}}
    assert needs.advice(small) == ["lower config.data.crop (320)"]
    assert needs.advice({}) == []
    large = {
        "data": {"batch_size": 64, "crop": (512, 1024)},
        "method": {"dtype": "float32", "max_anchors": 1024},
    }
    assert needs.advice(large) == [
        "lower config.data.batch_size (64)",
        "raise config.accumulate (1)",
        "lower config.data.crop (512,1024)",
    ]
    parts = large["data"]["batch_size"] // jax.device_count()
    assert needs.advice({**large, "accumulate": parts}) == [
        "lower config.data.crop (512,1024)",
        "set config.method.dtype=bfloat16",
        "lower config.method.max_anchors (1024)",
    ]
