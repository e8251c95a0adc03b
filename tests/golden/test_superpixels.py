"""Seeds, clustering and allocation of ASGNet against recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.ops import seeds as seed_ops
from ppcjax.ops import superpixels
from ppcjax.ops.resize import shrink_nearest
from tests.golden.arrays import assert_close, load

OPS = 1e-5


SEEDS, SGC = load("asgnet_seed"), load("asgnet_sgc")
STEPS = {"train": 10, "eval": 5}  # iterations of the released program


@pytest.mark.parametrize("case", SEEDS.having(r"mask_(\d+)"))
def test_seeds(case):
    golden = SEEDS
    metas = [m for m in golden.text("meta") if m["case"] == int(case)]
    masks = np.unpackbits(golden[f"mask_{case}"], axis=-1)[..., : metas[0]["W"]]
    recorded = golden[f"down_{case}"]
    down = np.asarray(shrink_nearest(masks, recorded.shape[1:]))
    np.testing.assert_array_equal(down, recorded)
    settings = [(m["avg_sp_area"], m["max_num_sp"]) for m in metas]
    for cells, largest in set(settings):
        same = [i for i, setting in enumerate(settings) if setting == (cells, largest)]
        found = seed_ops.place_seeds(down[same], cells=cells, largest=largest)
        seeds = golden[f"seeds_{case}"][same]
        np.testing.assert_array_equal(found.cells, seeds[:, :largest])
        several = [n if (n := metas[i]["num_sp"]) > 1 else 0 for i in same]
        np.testing.assert_array_equal(found.count, several)


@pytest.mark.parametrize("case", SGC.having(r"feat_(\d+)"))
def test_clustering(case):
    golden = SGC
    meta = golden.text("meta")[int(case)]
    features = np.moveaxis(golden[f"feat_{case}"], 0, -1)
    region = golden[f"mask_{case}"] == 1
    seeds = golden[f"seeds_{case}"]
    out = superpixels.cluster(features, region, seeds, iterations=meta["n_iter"])
    if not meta["finite"]:  # the original divides 0 by 0
        assert np.isnan(golden[f"out_{case}"]).any() and np.isfinite(out).all()
        return
    assert_close(out, golden[f"out_{case}"].T, OPS)
    rows, columns = np.meshgrid(*map(np.arange, region.shape), indexing="ij")
    points = np.concatenate(
        [features, np.stack([rows, columns], -1)], axis=-1, dtype=np.float32
    )
    centres = jnp.asarray(golden[f"init_{case}"].T)
    np.testing.assert_array_equal(points[seeds[:, 0], seeds[:, 1]], centres)
    points = points.reshape(region.size, -1)
    for i in range(meta["n_iter"]):
        centres, share = superpixels.cluster_step(centres, points, region.ravel())
        assert_close(centres, golden[f"centers_iter_{case}"][i].T, OPS)
        if i == 0:
            kept = np.asarray(share)[region.ravel()]
            assert_close(kept, golden[f"assoc_first_{case}"], OPS)
    kept = np.asarray(share)[region.ravel()]
    assert_close(kept, golden[f"assoc_last_{case}"], 2 * OPS)


def test_masked_average():
    golden = SGC
    x, weights = golden.map("gap_x"), golden["gap_mask"][:, 0]
    out, pull = jax.vjp(superpixels.masked_average, x, weights)
    assert_close(out, golden["gap_out"][..., 0, 0], OPS)
    g_x, g_weights = pull(jnp.asarray(golden["gap_gout"][..., 0, 0]))
    assert_close(g_x, golden.map("gap_g_x"), OPS)
    assert_close(g_weights, golden["gap_g_mask"][:, 0], OPS)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", ["1shot", "3shot"])
def test_prototypes_and_allocation(name, mode):
    golden = load(f"asgnet_gpa_{name}")
    query = np.concatenate(
        [golden.map("query_feat_3"), golden.map("query_feat_2")], axis=-1
    )
    support = np.concatenate([golden["supp_feat_3"], golden["supp_feat_2"]], axis=2)
    images, shots, channels, height, width = support.shape
    support = np.moveaxis(support, 2, -1).reshape(-1, height, width, channels)
    mask = golden["s_y"] == 1
    stride = (mask.shape[-1] - 1) // (width - 1)
    weights = mask[..., ::stride, ::stride].astype(np.float32)
    np.testing.assert_array_equal(weights, golden["mask_down"][:, :, 0])
    cells = golden["s_seed"]
    count = seed_ops.released_count(cells)
    recorded = np.reshape(golden.text(f"num_sp_{mode}"), count.shape)
    np.testing.assert_array_equal(count, recorded)
    slots = cells.shape[-2]
    seeds = seed_ops.Seeds(cells.reshape(-1, slots, 2), count.reshape(-1))
    prototypes, valid = superpixels.object_prototypes(
        support,
        weights.reshape(-1, height, width),
        seeds,
        iterations=STEPS[mode],
    )
    prototypes = np.asarray(prototypes).reshape(images, shots * slots, channels)
    valid = np.asarray(valid).reshape(images, shots * slots)
    for i in range(images):
        centres = golden[f"sp_center_{mode}_{i}"].T
        assert_close(prototypes[i, valid[i]], centres, OPS)
    found = superpixels.allocate(query, prototypes, valid, prior="sum")
    features = np.concatenate([query, found.guide], axis=-1)
    assert_close(features, golden.map(f"guide_feat_{mode}"), OPS)
    assert_close(found.prior, golden[f"prob_map_{mode}"][:, 0], OPS)
    several = [i for i in range(images) if valid[i].sum() > 1]
    guides = golden[f"guide_maps_{mode}"] if several else ()
    for i, recorded in zip(several, guides, strict=True):
        position = np.cumsum(valid[i]) - 1  # among the slots in use
        np.testing.assert_array_equal(position[np.asarray(found.index[i])], recorded)
