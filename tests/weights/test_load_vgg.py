"""VGG-16 from a file with torchvision's names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.nn.vgg import VGG16
from ppcjax.types import UserError
from ppcjax.weights import load_into
from tests.weights.torch_files import torch_bytes

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def test_vgg16(tmp_path):
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    shapes = jax.eval_shape(VGG16().init, jax.random.key(0), image)["params"]
    arrays, before = {}, 3
    for place, width in zip(PLACES, WIDTHS, strict=True):
        kernel = np.zeros((width, before, 3, 3), np.float32)
        kernel[:, 0, 0, 1] = place
        arrays[f"features.{place}.weight"] = kernel
        arrays[f"features.{place}.bias"] = np.full(width, place, np.float32)
        before = width
    path = tmp_path / "vgg16.pth"
    path.write_bytes(torch_bytes(arrays))
    params, _ = load_into({"backbone": shapes}, {}, path)
    kernel = params["backbone"]["conv4_2"]["conv"]["kernel"]
    assert kernel[0, 1, 0, 5] == 19 and kernel[1, 0, 0, 5] == 0
    assert params["backbone"]["conv5_3"]["conv"]["bias"][0] == 28
    del arrays["features.28.bias"]
    path.write_bytes(torch_bytes(arrays))
    with pytest.raises(UserError, match=r"has no features.28.bias"):
        load_into({"backbone": shapes}, {}, path)
