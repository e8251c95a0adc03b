"""Photos are brought to whole cells of convolutional networks, and to nothing else."""

import dataclasses

import numpy as np
import pytest

from ppcjax.frozen.placing import settled, whole_cells
from tests.frozen.networks import network


def conv(whole, **more):
    small = {"backbone": "small_resnet", "backbone_settings": {"width": 4}}
    return network(**small, whole_cells=whole, **more)


@pytest.mark.parametrize("size", [(97, 130), (33, 31), (1, 1), (32, 64)])
@pytest.mark.parametrize("stride", [8, 32])
def test_cells_are_equal_parts_of_the_photo(size, stride):
    """The mean of a cell of a ramp is that of the part that it stands for."""
    h, w = size
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[:h, :w], 0), -1)[None]
    found, extent = whole_cells(ramp.astype(np.float32), None, stride)
    rows, columns = -(-h // stride), -(-w // stride)
    assert extent is None and found.shape == (1, rows * stride, columns * stride, 3)
    cells = np.asarray(found).reshape(rows, stride, columns, stride, 3).mean((1, 3))
    for axis, (n, side) in enumerate(((rows, h), (columns, w))):
        middles = (np.arange(n) + 0.5) * side / n - 0.5
        line = cells[:, 0, 0] if axis == 0 else cells[0, :, 1]
        # Resizing repeats the edges, half a pixel of which the ramp lacks.
        np.testing.assert_allclose(line, middles, atol=0.5 if side > 1 else 1e-6)


def test_photos_of_whole_cells_are_as_they_are():
    pixels = np.random.default_rng(0).standard_normal((2, 32, 64, 3)).astype("f4")
    assert whole_cells(pixels, None, 16)[0] is pixels
    sizes = np.array([[32, 64], [16, 48]], np.int32)
    pixels[1, 16:] = pixels[1, :, 48:] = 0
    found, extent = whole_cells(pixels, sizes, 16)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(extent, sizes)


def test_features_are_those_of_the_photo_alone():
    """On a canvas as without one; the grid is that of all networks."""
    frozen = conv(True)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 47, 3)).astype(np.uint8)
    sizes = np.array([[40, 47], [17, 30]], np.int32)
    found = frozen.of_photos(images, sizes)
    assert found.shape[:3] == (2, 10, 12)
    for row, image, (rows, columns) in zip(found, images, sizes, strict=True):
        alone = np.asarray(frozen.features(image[None, :rows, :columns]))[0]
        h, w = alone.shape[:2]
        assert (h, w) == (-(-rows // 4), -(-columns // 4)) and alone.any()
        np.testing.assert_allclose(row[:h, :w], alone, atol=2e-3, rtol=2e-3)
        assert not row[h:].any() and not row[:, w:].any()


def test_runs_of_before_and_transformers_keep_what_is_kept(tmp_path):
    for frozen in (network(), conv(None), conv(False)):
        assert "whole_cells" not in frozen._key()
    one, other = (conv(w, cache=str(tmp_path)).cache.folder for w in (True, False))
    assert one != other


def test_convolutional_networks_alone_get_whole_cells_by_themselves():
    assert settled(network().settings).whole_cells is False
    assert settled(conv(None).settings).whole_cells is True
    for said in (True, False):
        given = dataclasses.replace(network().settings, whole_cells=said)
        assert settled(given) == given
