"""The whole loss of PPC with the choices of a recorded run given."""

import jax.numpy as jnp
import numpy as np

from ppcjax.methods import ppc_terms, seam
from ppcjax.nn.cam_net import CamOutput
from ppcjax.ops import prototypes


def with_background(label):
    """[B, C-1] labels -> [B, C] tags with a background column of ones in front."""
    return np.concatenate([np.ones_like(label[:, :1]), label], axis=1)


def recorded_outputs(golden):
    """The network outputs that a loss file holds, for both views."""
    names = ("cam", "cam_rv_down", "f_proj")
    return [CamOutput(*(golden.map(f"{n}{v}") for n in names)) for v in (1, 2)]


def contrast_views(outputs, golden):
    """Both views on the 16x16 grid of the release."""
    tags = with_background(golden["label"])
    return [
        ppc_terms.contrast_view(output, tags, (16, 16), threshold=0.2)
        for output in outputs
    ]


def recorded_loss(outputs, golden, size):
    """The loss and its terms; prototypes' pixels and random halves as recorded.

    outputs: CamOutput of both views; size: (H, W) of the first view.
    """
    tags = with_background(golden["label"])
    sizes = [size, (128, 128)]
    terms = {"cls": seam.classification(outputs, tags, sizes, 0)}
    terms |= seam.terms(outputs, tags, sizes, 0)
    views = contrast_views(outputs, golden)
    centres = tuple(
        prototypes.estimate(view.features, view.scores, golden[f"top_indices{i}"])
        for i, view in enumerate(views, 1)
    )
    terms |= ppc_terms.cross_view(*views, centres)
    for i, (view, centre) in enumerate(zip(views, centres, strict=True), 1):
        terms[f"intra{i}"] = ppc_terms.intra_view(
            view,
            centre,
            jnp.asarray(_random_half(golden, i)),
            mining=ppc_terms.Mining.of(21, 0.1, 0.6),
        )
    intra = (terms["intra1"] + terms["intra2"]) / 2
    contrast = 0.1 * (terms["cross_prototype"] + terms["cross_cam"] + intra)
    base = terms["cls"] + terms["min_pooling"]
    base += terms["equivariance"] + terms["cross_equivariance"]
    return base + contrast, terms | {"contrast": contrast}


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
