"""Weights of stand-ins are files of the networks that their names say."""

import numpy as np

from ppcjax.weights import guess
from tests.docs.networks import backbone_of, write_backbone
from tests.docs.small import again


def test_a_file_of_weights_is_of_its_network(tmp_path):
    path = tmp_path / "mobilenet_v2_imagenet.npz"
    write_backbone(path)
    with np.load(path) as arrays:
        assert guess.guess(arrays)[0] == backbone_of(path.name) == "mobilenet_v2"


def test_a_small_network_starts_from_no_published_file():
    words = ["python", "train.py", "--config.init_from=mobilenet_v2_imagenet.npz"]
    assert again(words) == ["--config.init_from="]
    assert again(words, whole=True) == []
    assert again([*words[:2], "--config.init_from=START"]) == []
