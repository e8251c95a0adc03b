"""The dense CRF against numbers recorded from pydensecrf2."""

import numpy as np
import pytest

from ppcjax.refine import crf
from tests.golden.arrays import load

GOLDEN = load("crf_pydensecrf2")


@pytest.mark.parametrize("photo", GOLDEN.having(r"image_(\w+)"))
@pytest.mark.parametrize("name", GOLDEN.having(r"(k\d+)_\w+"))
def test_preset(name, photo):
    probabilities = GOLDEN[f"probabilities_{photo}"].astype(np.float32)
    found = crf.refine(GOLDEN[f"image_{photo}"], probabilities, crf.preset(name))
    wanted = GOLDEN[f"{name}_{photo}"]
    np.testing.assert_array_equal(found.argmax(axis=-1), wanted.argmax(axis=-1))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
