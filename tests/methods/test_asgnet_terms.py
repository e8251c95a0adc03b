"""Superpixels of supports: whether they differ hangs on how far features are apart."""

import dataclasses

import numpy as np
import pytest

from ppcjax.methods import asgnet_terms as terms


def _batch(side):
    """One support that is all class but for a border."""
    mask = np.zeros((1, 1, 1, side, side), np.int32)
    mask[..., side // 8 : -side // 8, side // 8 : -side // 8] = 1
    return {"support_mask": mask, "shot_valid": np.ones((1, 1, 1), bool)}


def _prototypes(features, **settings):
    guidance = terms.Guidance(superpixel_cells=20, **settings)
    batch = _batch(features.shape[1])
    return terms.prototypes(guidance.clustering(), features, batch, train=False)


@pytest.fixture(scope="module")
def features():
    """Left and right halves of 16 x 16 cells, 1 apart in the first of two channels."""
    found = np.zeros((1, 16, 16, 2), np.float32)
    found[:, :, 8:, 0], found[..., 1] = 1.0, 3.0
    return found


def _apart(found):
    centres = np.asarray(found.centres)[np.asarray(found.valid)]
    return np.ptp(centres[:, 0])


def test_near_features_end_at_one_mean_unless_they_are_sharpened(features):
    near, sharp = (_prototypes(features, sharpness=s) for s in (1.0, 20.0))
    assert near.valid.sum() == sharp.valid.sum() > 2
    assert _apart(near) < 0.5 and _apart(sharp) > 0.95
    np.testing.assert_allclose(np.asarray(sharp.centres)[sharp.valid][:, 1], 3.0, 1e-4)


def test_sharpness_is_a_factor_of_features(features):
    sharp = _prototypes(features, sharpness=4.0)
    large = _prototypes(features * 4)
    np.testing.assert_allclose(sharp.centres * 4, large.centres, rtol=1e-5)


def test_one_mean_does_not_depend_on_it(features):
    one = {"superpixels_at_most": 1}
    a, b = (_prototypes(features, sharpness=s, **one) for s in (1.0, 9.0))
    assert a.valid.sum() == 1
    np.testing.assert_allclose(a.centres, b.centres, rtol=1e-5)


def test_as_released_unless_it_is_set():
    fields = {f.name: f.default for f in dataclasses.fields(terms.Guidance)}
    assert fields["sharpness"] == terms.Clustering(5, 100, (10, 5), "placed").sharpness
