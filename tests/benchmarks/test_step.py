"""The benchmark of the step runs for a config and for the JSON of a run."""

import json

import numpy as np
import pytest

from benchmarks import config, episodes, step
from ppcjax import methods
from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.frozen.batches import attached
from ppcjax.types import UserError
from tests.frozen import networks


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


@pytest.mark.parametrize("name", ["ppc_dino", "segment_dino", "panet_dino:adapter"])
def test_batches_on_a_frozen_network_are_what_it_gives_of_photos(name, tmp_path):
    """Of the same fields, shapes and types as those that training reads."""
    file, _, variant = name.partition(":")
    settings = dict(config.load(f"configs/{file}.py:{variant}".rstrip(":")))
    settings["frozen"] |= {**networks.SETTINGS, "debias": 0}
    settings["data"] |= {"batch_size": 2, "crop": 32}
    settings["method"] |= {"small_view": 16} if file == "ppc_dino" else {}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    settings = config.of_step(str(tmp_path / "config.json"))
    found = step.random_batch(settings["data"], num_classes=3)
    del settings["data"]["features"]
    photos = step.random_batch(settings["data"], num_classes=3)
    network = networks.network(beside=settings["frozen"]["beside"])
    method = attached(methods.make(settings["method"], 3), network)
    expected = method.look(photos)
    assert _kinds(found) == _kinds(expected) != _kinds(photos)
    assert ("second_image" in found) == (file == "ppc_dino")


def _kinds(batch):
    return {name: (x.shape, x.dtype) for name, x in batch.items()}


@pytest.mark.parametrize("name", ["panet_dino.py", "neighbours.py:frozen"])
def test_what_has_nothing_to_train_has_no_step(name):
    with pytest.raises(UserError, match="nothing to train"):
        config.of_step(f"configs/{name}")


def test_episodes_of_a_frozen_network_are_refused():
    with pytest.raises(UserError, match="benchmarks.step"):
        episodes.main(["--config", "configs/panet_dino.py:adapter"])


def test_config_is_read_from_json_without_ml_collections(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"data": {"crop": 48}}))
    assert config.load(str(path)) == {"data": {"crop": 48}}
    with pytest.raises(UserError, match="nope.py"):
        config.load("nope.py")
    with pytest.raises(UserError, match="no variant"):
        config.load("configs/ppc_shapes.py:nope")
