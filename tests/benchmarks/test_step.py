"""The benchmark of the step runs for a config and for the JSON of a run."""

import json

import numpy as np
import pytest

from benchmarks import config, step
from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.types import UserError


@pytest.mark.slow
def test_step_of_a_config_is_measured():
    settings = config.load("configs/ppc_shapes.py:cam")
    settings["data"] |= {"batch_size": 2, "crop": 48}
    result = step.measure(settings, num_classes=5, steps=2)
    assert all(np.isfinite(value) and value > 0 for value in result.values())
    assert result["images_per_s"] == pytest.approx(2e3 / result["step_ms"])


@pytest.mark.parametrize(
    ("name", "images"),
    [("contrastive_camvid", (2, 24, 40, 3)), ("pixpro_folder", (2, 2, 24, 40, 3))],
)
def test_batches_of_masks_and_of_views(name, images):
    data = config.load(f"configs/{name}.py")["data"] | {"batch_size": 2}
    batch = step.random_batch(data | {"crop": (24, 40)}, num_classes=3)
    assert batch["image"].shape == images
    assert ("mask" in batch) == ("box" not in batch)


@pytest.mark.parametrize("name", ["panet_shapes", "asgnet_shapes"])
def test_batches_of_episodes_are_those_of_the_pipeline(name):
    data = config.load(f"configs/{name}.py")["data"] | {"batch_size": 2, "crop": 32}
    batch = step.random_batch(data, num_classes=5)
    expected = layout(Shape(data["way"], data["shot"], data.get("query", 1)), 32)
    found = {key: (x.shape[1:], x.dtype.type) for key, x in batch.items()}
    assert found == expected
    assert {len(x) for x in batch.values()} == {2}


def test_batches_of_eps_have_saliency():
    data = config.load("configs/eps_voc.py")["data"] | {"batch_size": 2, "crop": 32}
    saliency = step.random_batch(data, num_classes=21)["saliency"]
    assert saliency.shape == (2, 32, 32) and saliency.dtype == np.uint8


def test_config_is_read_from_json_without_ml_collections(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"data": {"crop": 48}}))
    assert config.load(str(path)) == {"data": {"crop": 48}}
    with pytest.raises(UserError, match="nope.py"):
        config.load("nope.py")
    with pytest.raises(UserError, match="no variant"):
        config.load("configs/ppc_shapes.py:nope")
