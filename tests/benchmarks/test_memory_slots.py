"""What is told of a memory: nearest patches, anchors and mined slots, on a tiny run."""

import json

import jax
import numpy as np
import pytest

from benchmarks import config as configs
from benchmarks import memory_slots
from benchmarks.slots_seen import Opened, Seen, opened
from ppcjax import methods
from ppcjax.runs import checkpoint
from ppcjax.types import IGNORE, TrainState, UserError

CLASSES = ("background", "cross", "rings", "checker", "stripes", "dots")


def saved(folder, variant):
    """A run of random weights whose memory holds random vectors."""
    config = json.loads(json.dumps(configs.load(f"configs/{variant}")))
    config["method"] |= {"max_views": 4, "max_anchors": 64, "projection_dim": 8}
    config["method"]["backbone_settings"] = {"width": 4}
    config["method"]["head_settings"] = {"width": 8, "rate": 2, "dropout": 0.1}
    config["data"] |= {"size": 48, "batch_size": 2, "crop": 48, "long_side": [48, 60]}
    method = methods.make(config["method"], len(CLASSES))
    image = jax.ShapeDtypeStruct((2, 48, 48, 3), np.uint8)
    mask = jax.ShapeDtypeStruct((2, 48, 48), np.int32)
    params, state = method.init(jax.random.key(0), {"image": image, "mask": mask})
    rng = np.random.default_rng(0)
    for bank in state.get("memory", {}).values():
        vectors = rng.standard_normal(bank["slots"].shape)
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        bank["slots"] = vectors.astype(np.float32)
        bank["filled"] = np.full(len(CLASSES), 50, np.int32)
    saver = checkpoint.Checkpoints(folder, keep=1, config=config, classes=CLASSES)
    saver.save(TrainState(np.int32(3), params, state, opt_state={}), 3)
    saver.close()
    return folder


def test_a_run_is_told_of(tmp_path):
    run = saved(tmp_path / "run", "contrastive_shapes.py:mem_paper")
    out = tmp_path / "out"
    words = ["--ckpt", str(run), "--out", str(out), "--batches", "2", "--mined", "2"]
    memory_slots.main([*words, "--slots", "3"])
    told = json.loads((out / "memory.json").read_text())
    assert (out / "memory.png").stat().st_size > 1000
    assert told["step"] == 3 and set(told["memory"]) == {"region", "pixel"}
    for bank in told["memory"].values():
        assert set(bank) == set(CLASSES)
        assert {one["looked_at"] for one in bank.values()} == {3}
        assert {one["filled"] for one in bank.values()} == {50}
    anchors = told["anchors"]
    assert anchors["hard"] + anchors["easy"] == pytest.approx(1)
    per_class = sum(one["anchors"] for one in anchors["classes"].values())
    assert per_class == anchors["of_a_batch"] > 0
    for kind, others in (("negatives", 5), ("positives", 1)):
        mined = told["mining"][kind]
        assert mined["available"] == 2 * 50 * others
        assert mined["least_hard"] < 0.15
        assert mined["picked"] == pytest.approx(0.1 * mined["available"], abs=1)
    assert mined["in_loss"] == pytest.approx(mined["picked"], abs=0.5)
    assert mined["cosine_of_picked"] < mined["cosine"]  # positives are hard far away
    assert told["mining"]["negatives"]["cosine_of_picked"] > mined["cosine"]
    assert str(tmp_path) not in (out / "memory.json").read_text()


def test_without_memory_there_are_anchors_alone(tmp_path):
    run = saved(tmp_path / "run", "contrastive_shapes.py:nomem")
    words = ["--ckpt", str(run), "--out", str(tmp_path / "out"), "--batches", "1"]
    told = memory_slots.main([*words, "--mined", "1"])
    assert told["memory"] == told["mining"] == {} and told["anchors"]["of_a_batch"] > 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["memory.json"]


def test_a_run_without_contrast_is_refused(tmp_path):
    run = saved(tmp_path / "run", "contrastive_shapes.py:ce")
    with pytest.raises(UserError, match="trained without this contrast"):
        opened(run)


def test_slots_are_of_the_class_of_their_nearest_patches():
    """Class 1 was remembered as it is, class 2 as class 0 looks, class 0 not at all."""
    vectors = np.eye(3, dtype=np.float32)
    labels = np.int32([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, IGNORE])[None]
    shown = np.where(labels[0] == IGNORE, 2, labels[0])
    embedding = vectors[shown].reshape(1, 4, 4, 3)
    image = np.zeros((1, 32, 32, 3), np.uint8)
    seen = [Seen(image, embedding, labels, np.zeros((1, 16, 3), np.float32))]
    slots = vectors[[0, 1, 0]][:, None].repeat(4, 1)
    bank = {"slots": slots, "next": np.int32([0, 2, 3]), "filled": np.int32([0, 2, 3])}
    of = Opened(0, {}, ("a", "b", "c"), *(None,) * 5, {"region": bank})
    found = memory_slots.held(of, seen, slots=10)
    told = memory_slots.memory_numbers(of, found)["region"]
    assert {name: one["of_class"] for name, one in told.items()} == {
        "a": None,
        "b": 1.0,
        "c": 0.0,
    }
    assert [one["looked_at"] for one in told.values()] == [0, 2, 3]
    assert [one.shown.shape for one in found] == [(0, 5), (2, 5), (3, 5)]
