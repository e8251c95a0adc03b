import numpy as np

from ppcjax.report.palette import voc_palette


def test_voc_colours():
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128)}
    expected |= {20: (0, 64, 128), 255: (224, 224, 192)}
    for value, colour in expected.items():
        assert tuple(palette[value]) == colour
