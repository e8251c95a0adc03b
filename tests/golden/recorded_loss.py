"""The whole loss of PPC with the choices of a recorded run given."""

import jax.numpy as jnp
import numpy as np

from ppcjax.methods import ppc_terms, seam
from ppcjax.nn.cam_net import CamOutput
from ppcjax.ops import contrast, prototypes, sampling
from ppcjax.ops.resize import resize
from tests.golden.arrays import assert_close

# Fixed by the release whatever the images: the second view, and the background's score.
SECOND_VIEW = (128, 128)
THRESHOLD = 0.2


def with_background(label):
    """[B, C-1] labels -> [B, C] tags with a background column of ones in front."""
    return np.concatenate([np.ones_like(label[:, :1]), label], axis=1)


def recorded_outputs(golden):
    """The network outputs that a loss file holds, for both views."""
    names = ("cam", "cam_rv_down", "f_proj")
    return [CamOutput(*(golden.map(f"{n}{v}") for n in names)) for v in (1, 2)]


def contrast_views(outputs, golden):
    """Both views on the grid of the recorded pseudo labels."""
    tags = with_background(golden["label"])
    grid = golden["pseudo_label1"].shape[1:]
    recorded = "bg_threshold" in golden
    threshold = float(golden["bg_threshold"]) if recorded else THRESHOLD
    return [
        ppc_terms.contrast_view(output, tags, grid, threshold=threshold)
        for output in outputs
    ]


def mining(num_classes):
    """The shares of the release: ranks 4 to 13 of 21."""
    return ppc_terms.Mining.of(num_classes, 0.1, 0.6)


def top_pixels(golden, view):
    """[P, C] bool: the pixels of each prototype of a view."""
    indices = golden[f"top_indices{view}"]
    chosen = np.zeros((golden[f"pseudo_label{view}"].size, len(indices)), bool)
    chosen[indices.T, np.arange(len(indices))] = True
    return chosen


def recorded_loss(outputs, golden, size):
    """The loss and its terms; prototypes' pixels and random halves as recorded.

    outputs: CamOutput of both views; size: (H, W) of the first view.
    """
    tags = with_background(golden["label"])
    sizes = [size, SECOND_VIEW]
    terms = {"cls": seam.classification(outputs, tags, sizes, 0)}
    terms |= seam.terms(outputs, tags, sizes, 0)
    views = contrast_views(outputs, golden)
    centres = tuple(
        prototypes.estimate(view.features, view.scores, top_pixels(golden, i))
        for i, view in enumerate(views, 1)
    )
    terms |= ppc_terms.cross_view(*views, centres)
    for i, (view, centre) in enumerate(zip(views, centres, strict=True), 1):
        terms[f"intra{i}"] = ppc_terms.intra_view(
            view,
            centre,
            jnp.asarray(_random_half(golden, i)),
            mining=mining(tags.shape[1]),
        )
    intra = (terms["intra1"] + terms["intra2"]) / 2
    contrasts = 0.1 * (terms["cross_prototype"] + terms["cross_cam"] + intra)
    base = terms["cls"] + terms["min_pooling"]
    base += terms["equivariance"] + terms["cross_equivariance"]
    return base + contrasts, terms | {"contrast": contrasts}


def assert_terms_recorded(outputs, golden, size, tolerance):
    """Every single term that the release adds up, and the choices behind them."""
    tags = with_background(golden["label"])
    num_classes = tags.shape[1]
    sizes = [size, SECOND_VIEW]
    for i, (output, shape) in enumerate(zip(outputs, sizes, strict=True), 1):
        alone = seam.classification([output], tags, [shape], 0)
        assert_close(alone, golden[f"loss_cls{i}"], tolerance)
        upsampled = resize(output.refined, shape, align_corners=True)
        pool = seam.min_pooling(upsampled, tags)
        assert_close(pool, golden[f"loss_rvmin{i}"], tolerance)
    cams, refined = (
        [
            seam.tagged_max_norm(maps, tags, shape, SECOND_VIEW)
            for maps, shape in zip(views, sizes, strict=True)
        ]
        for views in ([o.cam for o in outputs], [o.refined for o in outputs])
    )
    crossed = seam.equivariant_cross_regularization(tuple(cams), tuple(refined))
    for i, term in enumerate(crossed, 1):
        assert_close(term, golden[f"loss_ecr{i}"], tolerance)
    one, two = contrast_views(outputs, golden)
    centres = []
    for i, view in enumerate((one, two), 1):
        labels = golden[f"pseudo_label{i}"].ravel()
        np.testing.assert_array_equal(view.labels, labels)
        sizes_of_classes = np.bincount(labels)
        present = np.flatnonzero(sizes_of_classes)
        np.testing.assert_array_equal(golden[f"intra{i}_class_ids"], present)
        np.testing.assert_array_equal(
            golden[f"intra{i}_class_len"], sizes_of_classes[present]
        )
        assert golden[f"intra{i}_C"] == len(present)
        top = top_pixels(golden, i)
        centres.append(prototypes.estimate(view.features, view.scores, top))
        assert_close(centres[-1], golden[f"prototypes{i}"], tolerance)
        own = contrast.semi_hard_nats(
            view.pixels, view.labels, centres[-1], **mining(num_classes)._asdict()
        )[1]
        chosen = sampling.hard_half(view.labels, own, num_classes)
        _assert_hard_pixels(
            golden, i, labels, np.asarray(chosen), np.asarray(own), tolerance
        )
    nce = contrast.pixel_to_prototype
    for value, name in (
        (nce(one.pixels, one.labels, centres[1]), "loss_nce1"),
        (nce(two.pixels, two.labels, centres[0]), "loss_nce2"),
        (nce(one.pixels, two.labels, centres[0]), "loss_cross_nce2_1"),
        (nce(two.pixels, one.labels, centres[1]), "loss_cross_nce2_2"),
    ):
        assert_close(value, golden[name], tolerance)


def _assert_hard_pixels(golden, view, labels, chosen, similarity, tolerance):
    """The recorded hard half has our similarities (which of equal ones is free)."""
    start = 0
    for c in golden[f"intra{view}_class_ids"]:
        pixels = np.flatnonzero(labels == c)
        half = len(pixels) // 2 if len(pixels) >= 2 else 0
        lower = golden[f"intra{view}_lower_idx"][start : start + half]
        start += half
        ours = np.sort(similarity[pixels[chosen[pixels]]])
        assert len(ours) == half
        if half:
            np.testing.assert_allclose(
                ours, np.sort(similarity[pixels[lower]]), atol=tolerance / 5
            )


def _random_half(golden, view):
    """The recorded random pixels as a mask; indices count a class's own pixels."""
    labels = golden[f"pseudo_label{view}"].ravel()
    chosen = np.zeros(labels.shape, bool)
    recorded, start = golden[f"intra{view}_random_idx"], 0
    sizes = zip(
        golden[f"intra{view}_class_ids"], golden[f"intra{view}_class_len"], strict=True
    )
    for c, size in sizes:
        half = size // 2 if size >= 2 else 0
        chosen[np.flatnonzero(labels == c)[recorded[start : start + half]]] = True
        start += half
    return chosen
