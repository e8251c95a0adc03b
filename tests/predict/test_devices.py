"""Evaluation uses all devices of the process, with the results of one."""

import re
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from ppcjax import methods
from ppcjax.predict import devices, tta
from tests import batches
from tests.predict.test_photos import photo
from tests.small_methods import small


class Photo:
    tags = mask = None

    def __init__(self, number, image):
        self.id, self.image = number, image


def test_batches_are_powers_of_two_and_multiples_of_the_devices(monkeypatch):
    for count in (1, 2, 8):
        monkeypatch.setattr(devices, "device_count", lambda n=count: n)
        for photos in range(1, 9):
            rows = devices.filled(photos, 8)
            assert rows % count == 0 and photos <= rows <= max(2 * photos, count)


@pytest.mark.parametrize("name", ["ppc", "segment"])
def test_all_devices_give_what_one_gives(name, monkeypatch):
    assert jax.local_device_count() == 2
    method = methods.make({"name": name, **small(name)}, batches.CLASSES)
    state = method.init(jax.random.key(0), batches.dense())
    rng = np.random.default_rng(0)
    sizes = [(32, 40), (30, 40), (32, 39)]
    images = [photo(1 + i % 3, size) for i, size in enumerate(sizes)]
    images = [x | rng.integers(0, 90, x.shape, dtype=np.uint8) for x in images]
    used = []

    def predict():
        examples = [Photo(i, image) for i, image in enumerate(images)]
        scaling = tta.Scaling(scales=(1.0,), batch_size=4)
        found = tta.predict(method, *state, examples, scaling=scaling)
        return {one.example.id: one.scores for one in found}

    placed = devices.shard
    monkeypatch.setattr(
        devices, "shard", lambda tree: used.append(placed(tree)) or used[-1]
    )
    two = predict()
    assert all(len(x.sharding.device_set) == 2 for x in jax.tree.leaves(used))
    alone = Mesh(np.array(jax.local_devices()[:1]), ("data",))
    monkeypatch.setattr(devices, "device_count", lambda: 1)
    monkeypatch.setattr(devices, "_mesh", lambda: alone)
    one = predict()
    assert one.keys() == two.keys() and len(one) == len(sizes)
    for number in one:
        # Logits of up to 17, whose last digit is 2e-6, after dozens of layers.
        np.testing.assert_allclose(two[number], one[number], atol=2e-5, rtol=2e-6)


@pytest.mark.parametrize(("platform", "given"), [("gpu", {"a": 1}), ("cpu", None)])
def test_what_predicts_on_gpus_is_compiled_as_its_method_says(
    platform, given, monkeypatch
):
    found = []
    device = types.SimpleNamespace(platform=platform)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    monkeypatch.setattr(
        jax, "jit", lambda function, **how: found.append((function, how)) or function
    )
    method = types.SimpleNamespace(gpu_options={"a": 1})
    for _ in range(2):  # one program for both
        devices.compiled(given_as := (lambda: platform), method)
        devices.compiled(given_as, method)
    assert [how for _, how in found] == [{"compiler_options": given}] * 2


def test_nothing_else_compiles_what_a_method_predicts_with():
    programs = {
        path.name
        for folder in ("predict", "evaluate", "label")
        for path in (Path("ppcjax") / folder).rglob("*.py")
        if re.search(r"jit\((run\.)?method\.", path.read_text())
    }
    assert not programs, "use devices.compiled"
