import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.predict import canvases
from tests.predict.toy import photo


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100, 128, 129, 375, 500, 4000])
def test_canvas_ladder(n):
    size = canvases.canvas_size(n)
    assert size >= n and size % 8 == 0
    assert size <= max(32, 1.25 * n + 1)
    assert canvases.canvas_size(size) == size


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_one_image_tells_the_stride_of_every_network(name):
    stride = backbones.make(name)[0].stride
    assert round(canvases.PROBE / -(-canvases.PROBE // stride)) == stride


def test_groups_share_canvases_and_lose_no_photo():
    sizes = [(30, 40), (31, 39), (30, 70), (32, 38), (29, 40)]
    examples = [photo(*size) for size in sizes]
    found = list(
        canvases.groups(examples, canvases.canvas_size, batch_size=2, max_side=1024)
    )
    assert {e.id for g in found for e in g.examples} == {e.id for e in examples}
    for group in found:
        assert len(group.examples) <= group.size
        assert all(np.less_equal(s, group.canvas).all() for s in group.sizes)


def test_large_photos_come_in_smaller_batches():
    examples = [photo(40, 1025, seed=i) for i in range(3)]
    found = canvases.groups(examples, lambda side: 1024, batch_size=8, max_side=1024)
    assert [group.size for group in found] == [2, 2]
