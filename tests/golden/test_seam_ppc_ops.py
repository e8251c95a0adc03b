"""Operations and losses of SEAM and PPC against recorded numbers, to 1e-5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.losses import multilabel_soft_margin
from ppcjax.methods import seam
from ppcjax.nn.cam_net import CamHeads, CamOutput
from ppcjax.ops import cam, prototypes, ranks
from ppcjax.ops.masks import norm
from ppcjax.ops.resize import resize, resized_mean
from tests.golden.arrays import assert_close, load, published
from tests.golden.recorded_loss import (
    SECOND_VIEW,
    assert_terms_recorded,
    contrast_views,
    mining,
    recorded_loss,
    recorded_outputs,
    top_pixels,
    with_background,
)

OPS = 1e-5
HEADS = ("classifier", "projector", "affinity_stage3", "affinity_stage4", "affinity")
NAME_OF = published("ppc", "ppc")


class TestSmallLosses:
    golden = load("ppc_small_losses")

    def test_smallest_mean_is_min_pooling(self):
        def loss(x):
            strongest = jax.nn.relu(jnp.max(x, axis=-1)).reshape(x.shape[0], -1)
            return jnp.mean(ranks.smallest_mean(strongest, strongest.shape[1] // 4))

        value, grad = jax.value_and_grad(loss)(self.golden.map("minpool_x"))
        assert_close(value, self.golden["minpool_loss"], OPS)
        assert_close(grad, self.golden.map("minpool_g"), OPS)

    def test_keep_foreground_max_keeps_ties(self):
        out = cam.keep_foreground_max(self.golden.map("onehot_x"), 0)
        assert_close(out, self.golden.map("onehot_out"), 0)

    def test_max_norm(self):
        out, vjp = jax.vjp(cam.max_norm, self.golden.map("maxnorm_x"))
        assert_close(out, self.golden.map("maxnorm_out"), OPS)
        (grad,) = vjp(self.golden.map("maxnorm_gout"))
        assert_close(grad, self.golden.map("maxnorm_g"), OPS)

    def test_multilabel_soft_margin(self):
        x = self.golden["softmargin_x"][..., 0, 0]
        y = self.golden["softmargin_y"][..., 0, 0]
        value, grad = jax.value_and_grad(multilabel_soft_margin)(x, y)
        assert_close(value, self.golden["softmargin_loss"], OPS)
        assert_close(grad, self.golden["softmargin_g"][..., 0, 0], OPS)


@pytest.mark.parametrize("block", [1024, 8])
def test_pixel_correlation(block):
    golden = load("ppc_pcm")
    kernel = golden.kernel("f9_weight")[0, 0]

    def refine(maps, features, kernel):
        return cam.pixel_correlation(maps, features @ kernel, block=block)

    inputs = (golden.map("cam"), golden.map("f"), kernel)
    mixed = inputs[1] @ kernel
    normed = mixed / (norm(mixed) + cam.EPSILON)
    normed = normed.reshape(len(mixed), -1, mixed.shape[-1])
    assert_close(normed.swapaxes(1, 2), golden["f9_out_normed"], OPS)
    affinity = jax.nn.relu(jnp.einsum("bid,bjd->bij", normed, normed))
    affinity = affinity / (affinity.sum(axis=1, keepdims=True) + cam.EPSILON)
    assert_close(affinity, golden["aff_normed"], OPS)
    out, vjp = jax.vjp(refine, *inputs)
    assert_close(out, golden.map("cam_rv"), OPS)
    grads = vjp(golden.map("g_out"))
    for grad, name in zip(grads[:2], ("g_cam", "g_f"), strict=True):
        assert_close(grad, golden.map(name), OPS)
    assert_close(grads[2], golden.kernel("g_f9_weight")[0, 0], OPS)


def _official(head):
    return NAME_OF(f"heads/{head}/kernel").removesuffix(".weight")


@pytest.mark.slow
def test_heads():
    golden = load("ppc_head")
    classes, projection, *affinity = (
        len(golden[f"w_{name}"]) for name in ("fc8", "fc_proj", "f8_3", "f8_4", "f9")
    )
    heads = CamHeads(
        classes, projection=projection, affinity=tuple(affinity), dropout=0.0
    )
    params = {
        head: {"conv": {"kernel": golden.kernel(f"w_{_official(head)}")}}
        for head in HEADS
    }
    stages = {"stage3": golden.map("conv4"), "stage4": golden.map("conv5")}
    size = golden["x"].shape[2:]

    def forward(params, image, embedding):
        endpoints = stages | {"embedding": embedding}
        out = heads.apply({"params": params}, endpoints, image)
        maps = [resize(m, size, align_corners=True) for m in (out.cam, out.refined)]
        return (*maps, out.projection, out.refined)

    outputs, vjp = jax.vjp(forward, params, golden.map("x"), golden.map("conv6"))
    names = ("cam", "cam_rv", "f_proj", "cam_rv_down")
    for output, name in zip(outputs, names, strict=True):
        assert_close(output, golden.map(name), OPS)
    grads, g_image, g_embedding = vjp(tuple(golden.map(f"gout_{n}") for n in names))
    for head in HEADS:
        wanted = golden.kernel(f"g_w_{_official(head)}")
        assert_close(grads[head]["conv"]["kernel"], wanted, OPS)
    assert_close(g_image, golden.map("g_x"), OPS)
    assert_close(g_embedding, golden.map("g_conv6"), OPS)


def test_clean():
    golden = load("ppc_head")
    cleaned = cam.clean(golden.map("cam_low"))
    assert_close(cleaned, golden.map("cam_d_norm_clean"), OPS)
    survivors = golden.map("cam_d_norm_clean") > 0
    for name in ("cam_d_norm_first", "cam_d_norm_with_bg"):
        recorded = np.where(survivors, golden.map(name), 0)[..., 1:]
        assert_close(np.asarray(cleaned)[..., 1:], recorded, OPS)


def _assert_same_subgradient(grad, recorded, maps):
    """Two gradients at a point where maxima and top-k cuts are tied.

    Frameworks choose differently among tied entries, so single cells differ.
    Adding a constant to all entries and scaling them keep the ties: the derivatives
    along these two directions must agree.
    """
    grad, recorded = (np.asarray(g, np.float64) for g in (grad, recorded))
    assert_close(np.sum(grad), np.sum(recorded), OPS)
    assert_close(np.sum(grad * maps), np.sum(recorded * maps), OPS)


@pytest.mark.parametrize(
    "golden", [load("ppc_loss"), load("ppc_loss_edge")], ids=["usual", "edge"]
)
class TestPpcLoss:
    def test_loss_terms_and_gradients(self, golden):
        names = ("cam", "cam_rv_down", "f_proj")
        arrays = {f"{n}{v}": golden.map(f"{n}{v}") for v in (1, 2) for n in names}

        def total(arrays):
            outputs = [CamOutput(*(arrays[f"{n}{v}"] for n in names)) for v in (1, 2)]
            return recorded_loss(outputs, golden, tuple(golden["img_hw"]))

        (loss, terms), grads = jax.jit(jax.value_and_grad(total, has_aux=True))(arrays)
        assert_close(terms["cls"] + terms["min_pooling"], golden["loss_cls"], OPS)
        pooled = (golden["loss_rvmin1"] + golden["loss_rvmin2"]) / 2
        assert_close(terms["min_pooling"], pooled, OPS)
        assert_close(terms["equivariance"], golden["loss_er"], OPS)
        assert_close(terms["cross_equivariance"], golden["loss_ecr"], OPS)
        assert_close(0.1 * terms["cross_prototype"], golden["loss_cross_nce"], OPS)
        assert_close(0.1 * terms["cross_cam"], golden["loss_cross_nce2"], OPS)
        for i in (1, 2):
            assert_close(terms[f"intra{i}"], golden[f"loss_intra_nce{i}"], OPS)
        assert_close(terms["contrast"], golden["loss_nce"].reshape(()), OPS)
        assert_close(loss, golden["loss"].reshape(()), OPS)
        for name, grad in grads.items():
            recorded = golden.map(f"g_{name}")
            if golden is load("ppc_loss_edge") and name.startswith("cam_rv"):
                # Piecewise constant maps: hundreds of equal entries.
                _assert_same_subgradient(grad, recorded, arrays[name])
            else:
                assert_close(grad, recorded, OPS)

    @pytest.mark.slow
    def test_every_term_alone(self, golden):
        size = tuple(golden["img_hw"])
        assert_terms_recorded(recorded_outputs(golden), golden, size, OPS)

    def test_pseudo_labels_and_prototypes(self, golden):
        for i, view in enumerate(contrast_views(recorded_outputs(golden), golden), 1):
            wanted = golden.map(f"cam_clean{i}").reshape(view.scores.shape)
            assert_close(view.scores, wanted, OPS)
            labels = golden[f"pseudo_label{i}"].ravel()
            np.testing.assert_array_equal(view.labels, labels)
            top = golden[f"top_indices{i}"]
            chosen = np.take_along_axis(np.asarray(view.scores).T, top, axis=1)
            assert_close(chosen, golden[f"top_values{i}"], OPS)
            ours = np.asarray(prototypes.most_confident(view.scores, top.shape[1])).T
            best = [scores[o] for scores, o in zip(view.scores.T, ours, strict=True)]
            assert_close(-np.sort(-np.array(best)), golden[f"top_values{i}"], OPS)
            top = top_pixels(golden, i)
            centre = prototypes.estimate(view.features, view.scores, top)
            assert_close(centre, golden[f"prototypes{i}"], OPS)

    def test_mining(self, golden):
        for i, view in enumerate(contrast_views(recorded_outputs(golden), golden), 1):
            centre = golden[f"prototypes{i}"]
            similarity = np.asarray(view.pixels) @ centre.T
            kept_ranks = slice(*mining(similarity.shape[1]))
            order = np.argsort(-similarity, axis=1, kind="stable")[:, kept_ranks]
            kept = np.take_along_axis(similarity, order, 1)
            recorded = np.take_along_axis(similarity, golden[f"semi_hard_idx{i}"], 1)
            assert_close(kept, recorded, OPS)
            own = np.take_along_axis(similarity, np.asarray(view.labels)[:, None], 1)
            # The release ranks by (1 + similarity) / 2: the same order.
            assert_close((1 + own[:, 0]) / 2, golden[f"similarity_intra{i}"], OPS)

    def test_maps_that_are_compared(self, golden):
        tags = with_background(golden["label"])
        sizes = [tuple(golden["img_hw"]), SECOND_VIEW]
        for i, output in enumerate(recorded_outputs(golden), 1):
            size = sizes[i - 1]
            pooled = resized_mean(output.cam, size)
            assert_close(pooled, golden[f"label{i}_gap"][..., 0, 0], OPS)
            for ours, theirs in ((output.cam, "cam"), (output.refined, "cam_rv")):
                maps = seam.tagged_max_norm(ours, tags, size, SECOND_VIEW)
                wanted = golden.map(f"{theirs}{i}_maxnorm_s8")
                assert_close(maps[:, ::8, ::8], wanted, OPS)


@pytest.mark.slow
def test_seam_loss():
    golden = load("seam_loss")
    tags = with_background(golden["label"])
    sizes = [tuple(golden["img_hw"]), tuple(golden["img2_hw"])]

    def total(arrays):
        outputs = [
            CamOutput(arrays[f"cam{v}"], arrays[f"cam_rv{v}"], None) for v in (1, 2)
        ]
        terms = seam.terms(outputs, tags, sizes, 0)
        terms["cls"] = seam.classification(outputs, tags, sizes, 0)
        return sum(terms.values()), terms

    names = ("cam1", "cam_rv1", "cam2", "cam_rv2")
    arrays = {name: golden.map(name) for name in names}
    (loss, terms), grads = jax.value_and_grad(total, has_aux=True)(arrays)
    assert_close(terms["cls"] + terms["min_pooling"], golden["loss_cls"], OPS)
    assert_close(terms["equivariance"], golden["loss_er"], OPS)
    assert_close(terms["cross_equivariance"], golden["loss_ecr"], OPS)
    assert_close(loss, golden["loss"], OPS)
    for name in names:
        assert_close(grads[name], golden.map(f"g_{name}"), OPS)
        maps = seam.tagged_max_norm(
            arrays[name], tags, sizes[int(name[-1]) - 1], sizes[1]
        )
        assert_close(maps, golden.map(f"{name}_norm"), OPS)
