import numpy as np

from ppcjax.predict.queries import to_photo


def test_logits_at_the_size_of_the_canvas_are_resized_once():
    logits = np.random.default_rng(0).standard_normal((8, 8, 2))
    found = to_photo(logits, np.array([30, 20]), (60, 40), stride=4, align_corners=True)
    assert found.shape == (60, 40, 2)
    np.testing.assert_allclose(found[0, 0], logits[0, 0], rtol=1e-5)
    np.testing.assert_allclose(found[-1, -1], logits[7, 4], rtol=1e-5)
