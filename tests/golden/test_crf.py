"""The dense CRF against numbers recorded from pydensecrf2."""

import numpy as np
import pytest

from ppcjax.refine import crf
from tests.golden.arrays import load


@pytest.mark.parametrize("photo", ["a", "b"])
@pytest.mark.parametrize("name", ["k1", "k3", "k4", "k5"])
def test_preset(name, photo):
    golden = load("crf_pydensecrf2")
    probabilities = golden[f"probabilities_{photo}"].astype(np.float32)
    found = crf.refine(golden[f"image_{photo}"], probabilities, crf.preset(name))
    wanted = golden[f"{name}_{photo}"]
    np.testing.assert_array_equal(found.argmax(axis=-1), wanted.argmax(axis=-1))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
