"""ONNX files say what the network says, for any number of images."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.predict.export import export_model, onnx
from ppcjax.runs import Run
from ppcjax.types import UserError
from tests import batches
from tests.evaluate.conftest import folder_of, run_of  # noqa: F401
from tests.small_methods import small
from tests.weights.exports import noise, scores_of_run

WIDTH = {"width": 8}
HEAD = {"head": "v1", "head_settings": {"width": 8, "rate": 1}}
NETWORKS = {
    "small_resnet": {"backbone_settings": WIDTH},
    "mobilenet_v2": {},
    "resnet18": {"backbone_settings": WIDTH},
    "resnet50": {"backbone_settings": {**WIDTH, "stem": "deep", "output_stride": 8}},
}
# Of one size only; HRNet is like them, and compiles for minutes.
LARGE = {"vgg16": {}, "efficientnet_lite0": {}, "wide_resnet38": {}}


def segmenter(backbone, settings):
    """A run whose classifier is calm, so that scores are not all 0 or 1."""
    config = {"name": "segment", "backbone": backbone, **settings, **HEAD}
    method = methods.make(config, batches.CLASSES)
    params, state = method.init(jax.random.key(0), batches.KINDS["dense"]())
    params["head"]["classifier"]["conv"]["kernel"] *= 0.01
    whole = {"name": "x", "method": config, "data": {}, "eval": {}}
    names = tuple(map(str, range(batches.CLASSES)))
    return Run(Path("nowhere"), 1, whole, names, method, params, state)


def check(run, folder, size=(41, 57)):
    """Writes a file and compares the scores of three images with the run's."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    said = []
    export_model(run, folder, onnx=size, say=said.append)
    assert "model.onnx" in said[1] and f"{size[0]} x {size[1]}" in said[1]
    session = runtime.InferenceSession(
        (folder / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    images = noise(3, *size)
    wanted = np.stack(scores_of_run(run, *images))
    for count in (1, 3):
        scores, _ = session.run(None, {"image": images[:count]})
        np.testing.assert_allclose(scores, wanted[:count], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [*NETWORKS, *LARGE])
def test_backbones(backbone, tmp_path):
    check(segmenter(backbone, (NETWORKS | LARGE)[backbone]), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppc", "contrastive_seg", "segment"])
def test_methods(name, run_of, tmp_path):  # noqa: F811
    """At the size at which blocks of pixels are compared one after the other, too."""
    run = run_of(name)
    if name == "ppc":
        config = {"name": name, **small(name), "correlation_block": 100}
        config |= {"image_gain": 4.0, "centred": True}
        method = methods.make(config, len(run.classes))
        run = run._replace(method=method)
    check(run, tmp_path / "out", size=(64, 97))


def test_without_jax2onnx_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"needs jax2onnx.*pip install") as caught:
        onnx.need_libraries()
    assert "\n" not in str(caught.value)
