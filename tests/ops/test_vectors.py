"""Whole losses of PPC and SEAM on closed formulas.

The expected numbers were computed apart from this program, in float64 NumPy, from the
published formulas.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.methods import ppc_terms, seam
from ppcjax.nn.cam_net import CamOutput
from ppcjax.ops import cam, contrast, prototypes, sampling
from ppcjax.ops.resize import resized_mean

TOLERANCE = 1e-4
C = 21
TAGS = np.zeros((2, C), np.float32)
TAGS[[0, 0, 0, 1, 1, 1], [0, 3, 7, 0, 7, 15]] = 1


def _formula(function, wave, size, channels):
    """Waves [2, size, size, channels] in float64; wave: factors of (d, n, y, x)."""
    n, y, x, d = np.ogrid[:2, :size, :size, :channels]
    phase = wave[0] * d + wave[1] * n + wave[2] * y + wave[3] * x
    return function(phase)


def _close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.fixture(scope="module")
def views():
    """Both views of the contrasts and their prototypes."""
    out = []
    for function, p, r in (
        (np.sin, (1.3, 0.7, 0.31, 0.17), (0.9, 0.4, 0.21, 0.13)),
        (np.cos, (1.1, 0.5, 0.23, -0.29), (0.8, 0.3, 0.19, -0.11)),
    ):
        refined = np.float32(np.maximum(_formula(function, r, 16, C), 0))
        refined[..., 17:] = 0
        projection = np.float32(np.maximum(_formula(function, p, 16, 8), 0))
        out.append(_view(CamOutput(refined, refined, projection)))
    return out


@jax.jit
def _view(output):
    """A view as the contrasts see it, the pixels of its prototypes, and these."""
    view = ppc_terms.contrast_view(output, TAGS, (16, 16), threshold=0.2)
    top = prototypes.most_confident(view.scores, 32)
    return view, top, prototypes.estimate(view.features, view.scores, top)


class TestContrasts:
    def test_pseudo_labels(self, views):
        expected = ({0: 189, 3: 44, 7: 265, 15: 14}, {0: 77, 3: 23, 7: 318, 15: 94})
        for (view, _, _), counts in zip(views, expected, strict=True):
            ids, found = np.unique(np.asarray(view.labels), return_counts=True)
            assert dict(zip(ids.tolist(), found.tolist(), strict=True)) == counts

    def test_prototypes(self, views):
        view, top, centres = views[0]
        mass = np.sum(np.asarray(view.scores), axis=0, where=np.asarray(top))
        _close(mass[[0, 1, 2, 7]], [6.4, 31.385098, 24.445486, 31.888799])
        _close(mass[17:], -32)
        background = [0.574841, 0.358913, 0.035751, 0.027126]
        background += [0.340680, 0.578910, 0.295585, 0.012449]
        for c in (0, 17, 18, 19, 20):
            _close(centres[c], background)
        _close(centres[7], [0.579137, 0, 0, 0.010920, 0.666468, 0.469363, 0, 0])

    def test_cross_view(self, views):
        (one, _, p1), (two, _, p2) = views
        nce = contrast.pixel_to_prototype
        _close(nce(one.pixels, one.labels, p2), 5.560356)
        _close(nce(two.pixels, two.labels, p1), 5.932185)
        _close(nce(one.pixels, two.labels, p1), 7.171884)
        _close(nce(two.pixels, one.labels, p2), 5.358031)
        terms = ppc_terms.cross_view(one, two, (p1, p2))
        _close(0.1 * terms["cross_prototype"], 0.574627)
        _close(0.1 * terms["cross_cam"], 0.626496)

    def test_intra_view(self, views):
        mining = ppc_terms.Mining.of(C, 0.1, 0.6)
        assert mining == (3, 13)
        everywhere, hard, duplicates = [], [], []
        for view, _, centres in views:
            nats, own = contrast.semi_hard_nats(
                view.pixels, view.labels, centres, drop=3, keep=13
            )
            ones = jnp.ones_like(nats)
            everywhere.append(sampling.mean_over_classes(nats, view.labels, ones, C))
            nothing = jnp.zeros(view.labels.shape, bool)
            hard.append(ppc_terms.intra_view(view, centres, nothing, mining=mining))
            rank = jnp.sum(view.pixels @ centres.T > own[:, None] + 1e-6, axis=1)
            duplicates.append(float(jnp.mean((rank >= 3) & (rank < 13))))
        _close(everywhere, [2.937032, 2.971921])
        _close(hard, [3.194110, 3.411210])
        # A random half that is like the whole gives the mean of the two.
        expected = (np.array(everywhere) + np.array(hard)) / 2
        _close(expected, [3.065571, 3.191565])
        _close(0.1 * expected.mean(), 0.312857)

    def test_the_random_half_is_like_the_whole_on_average(self, views):
        view, _, centres = views[0]
        mining = ppc_terms.Mining.of(C, 0.1, 0.6)

        @jax.jit
        @jax.vmap
        def of_key(key):
            chosen = sampling.random_half(view.labels, key, C)
            return ppc_terms.intra_view(view, centres, chosen, mining=mining)

        values = of_key(jax.random.split(jax.random.key(0), 200))
        np.testing.assert_allclose(np.mean(values), 3.065571, atol=0.02)


@pytest.fixture(scope="module")
def outputs():
    """Raw and refined maps of an 8x8 and of a 4x4 view."""
    out = []
    for size, y, x in ((8, 0.5, 0.3), (4, 1.1, 0.7)):
        maps = 3 * _formula(np.sin, (0.9, 0.4, y, x), size, C)
        step = 8 / size
        wave = (1.7, 0.6, 0.33 * step, -0.21 * step)
        features = np.float32(_formula(np.cos, wave, size, 6))
        # Some maxima differ by 1e-8 only: float32 would keep two classes of a pixel.
        with jax.enable_x64(True):
            cleaned = np.float32(jax.jit(cam.clean)(maps))
        refined = jax.jit(cam.pixel_correlation)(cleaned, features)
        out.append(CamOutput(np.float32(maps), refined, None))
    return out


class TestBaseLosses:
    sizes = [(32, 32), (16, 16)]

    def test_refined_maps(self, outputs):
        first, second = (np.asarray(o.refined) for o in outputs)
        _close(first[0, 0, :4, 0], [0.028699, 0.028309, 0.028441, 0.028757])
        _close(first[0, 0, 0].sum(), 0.99999976)
        _close(second[1, 0, :, 5], [0.078112, 0.102240, 0.130470, 0.162635])

    def test_logits_are_means_of_upsampled_maps(self, outputs):
        logits = resized_mean(outputs[0].cam, self.sizes[0])
        _close(logits[0, 3], -0.903187)
        _close(outputs[0].cam[0, ..., 3].mean(), -0.758115)

    def test_losses(self, outputs):
        expected = zip(
            outputs, self.sizes, (0.833044, 0.804986), (0.042941, 0.051329), strict=True
        )
        for output, size, classification, pooling in expected:
            _close(seam.classification([output], TAGS, [size], 0), classification)
            upsampled = seam.resize(output.refined, size, align_corners=True)
            _close(seam.min_pooling(upsampled, TAGS), pooling)
        terms = jax.jit(lambda o: seam.terms(o, TAGS, self.sizes, 0))(outputs)
        _close(terms["equivariance"], 0.00324028)
        _close(terms["cross_equivariance"], 0.276387 + 0.344133)
        total = sum(terms.values())
        total += seam.classification(outputs, TAGS, self.sizes, 0)
        _close(total, 1.489909)
