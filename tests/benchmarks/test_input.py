"""Pipelines are measured on photos that the benchmark makes by itself."""

import json

import ml_collections
import numpy as np
import pytest

from benchmarks import config, photo_sets
from benchmarks import input as inputs
from ppcjax.train.settings import reads_of


def test_arithmetic_of_cores():
    found = inputs.verdict(50.0, {"images_per_s": 400.0, "result": "a.json"})
    assert found["fed_by_16"] == 800
    assert found["cores_of_8"] == 64 and found["busy"] == 0.5
    assert set(inputs.verdict(50.0, None)) == {"per_core", "fed_by_16"}


def test_the_fastest_race_on_a_gpu_counts(tmp_path):
    def write(name, device, rate):
        options = {"device": device, "method": "ppc"}
        sides = {"ppcjax": {"images_per_s": rate}}
        record = {"options": options, "sides": sides}
        (tmp_path / name).write_text(json.dumps(record))

    write("a.json", "gpu", 100.0)
    write("b.json", "gpu", 120.0)
    write("c.json", "cpu", 500.0)
    (tmp_path / "d.json").write_text('{"pipelines": {}}')
    found = inputs.of_gpus(tmp_path)
    assert found == {"ppc": {"images_per_s": 120.0, "result": "b.json"}}


def test_table_says_what_is_not_measured():
    rest = {"title": "VOC", "photo_kilobytes": 90.0}
    plain = rest | inputs.verdict(50.0, None)
    raced = rest | inputs.verdict(50.0, {"images_per_s": 400.0})
    lines = inputs.table({"a": plain, "b": raced}).splitlines()
    assert lines[2] == "| VOC | 90 | 50.0 | 800 | not measured |  |  |"
    assert lines[3] == "| VOC | 90 | 50.0 | 800 | 400 | 64 | 50% |"


@pytest.fixture
def small_photos(monkeypatch):
    monkeypatch.setattr(photo_sets, "VOC", (48, 64))
    monkeypatch.setattr(photo_sets, "STREETS", (64, 128))


# One of each kind of batch is quick; the others read the same way.
@pytest.mark.parametrize(
    "name",
    [
        "eps",
        "pixpro",
        "panet",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in inputs.PIPELINES
            if name not in ("eps", "pixpro", "panet", "folder")  # 12 megapixels
        ),
    ],
)
def test_made_photos_are_read(name, tmp_path, small_photos):
    pipeline = inputs.PIPELINES[name]
    settings = ml_collections.ConfigDict(config.load(pipeline.config))
    data = settings.data
    data.update(pipeline.write(tmp_path / "data"))
    data.crop = 32 if isinstance(data.crop, int) else (32, 32)
    if "min_pixels" in data:
        data.min_pixels = 1
    reads = reads_of(settings.method)
    batch = next(inputs.stream_of(data, reads=reads, batch_size=2))
    assert inputs.rows(batch) == 2
    assert all(np.isfinite(array).all() for array in batch.values())


def test_a_core_is_counted_in_cpu_seconds(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 5.0, 5.0])
    monkeypatch.setattr(inputs.time, "process_time", lambda: next(clock))
    batches = iter([{"image": np.zeros(4)}] * 9)
    monkeypatch.setattr(inputs, "stream_of", lambda *_, **__: batches)
    # Checked at 1 and 3 seconds of 5, so two batches of four.
    assert inputs.per_core({}, reads="dense", seconds=5.0) == pytest.approx(8 / 5)
