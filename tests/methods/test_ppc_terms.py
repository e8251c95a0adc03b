"""Which photos the prototypes of PPC are made of."""

import jax
import numpy as np

from ppcjax.methods import ppc_terms
from ppcjax.nn.cam_net import CamOutput

GRID = (4, 4)
TAGS = np.array([[1, 1, 0], [1, 0, 0]], np.float32)  # class 2 is in neither photo


def output():
    """Photos of one direction each, the second with the higher maps of class 1."""
    refined = np.random.default_rng(0).uniform(0, 0.4, (2, *GRID, 3)).astype(np.float32)
    refined[1, ..., 1] += 0.5
    projection = np.zeros((2, *GRID, 2), np.float32)
    projection[0, ..., 0] = projection[1, ..., 1] = 1
    return CamOutput(refined, refined, projection)


def prototypes(tagged):
    view = ppc_terms.contrast_view(output(), TAGS, GRID, tagged=tagged)
    return view, *ppc_terms.view_prototypes(view, 2)


def test_as_released_a_prototype_may_be_of_a_photo_without_the_class():
    _, centres, top = prototypes(False)
    # A map reaches the same in a photo with the class and in one without.
    np.testing.assert_allclose(centres[1], [0.5**0.5] * 2, atol=1e-5)
    assert top[:16, 1].sum() == top[16:, 1].sum() == 1
    assert np.linalg.norm(centres[2]) > 0.9


def test_prototypes_of_tagged_photos_are_of_these_alone():
    view, centres, top = prototypes(True)
    np.testing.assert_allclose(centres[1], [1, 0], atol=1e-6)
    assert top[:16, 1].sum() == 2
    assert not centres[2].any()
    np.testing.assert_array_equal(view.labels, prototypes(False)[0].labels)


def test_contrasts_stay_finite_where_no_photo_has_a_class():
    found, _ = ppc_terms.contrasts(
        [output(), output()],
        TAGS,
        jax.random.key(0),
        mining=ppc_terms.Mining.of(3, 0.1, 0.6),
        prototype_share=0.125,
        tagged=True,
    )
    assert all(np.isfinite(value) for value in found.values())
    assert found["cross_prototype"] > 0


def test_a_prototype_has_a_pixel_at_least():
    assert ppc_terms.prototype_pixels((16, 16), 0.125) == 32
    assert ppc_terms.prototype_pixels((2, 2), 0.1) == 1
