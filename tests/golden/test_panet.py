"""PANet's pooling, distance and losses on given features against recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.losses import cross_entropy
from ppcjax.methods import panet_terms
from ppcjax.methods.panet_terms import Matching
from ppcjax.ops.masked_pooling import cosine_map, masked_average, masked_sums
from ppcjax.types import IGNORE
from tests.golden.arrays import assert_close, load

OPS = 1e-5


def test_masked_pooling_and_distance():
    golden = load("panet_pieces")
    features = golden.map("fts")

    @jax.jit
    def pooled(features, mask):
        return masked_average(
            *masked_sums(features, mask[..., None], align_corners=False)
        )[:, 0]

    for mask, name in (
        (golden["mask"], "feat_mask"),
        (golden["soft_mask"], "feat_soft"),
    ):
        assert_close(pooled(features, mask), golden[name], OPS)
    empty = pooled(features, np.zeros_like(golden["mask"]))
    np.testing.assert_array_equal(empty, golden["feat_empty"])
    _, pull = jax.vjp(lambda f: pooled(f, golden["mask"]), features)
    assert_close(pull(golden["feat_gout"])[0], golden.map("feat_g"), OPS)

    def distance(features, proto, scale=20.0):
        proto = jnp.broadcast_to(proto, (len(features), proto.shape[-1]))
        return scale * cosine_map(features, proto[:, None])[..., 0]

    proto = golden["proto"]
    found, pull = jax.vjp(distance, features, proto)
    assert_close(found, golden["dist"], OPS)
    g_features, g_proto = pull(golden["dist_gout"])
    assert_close(g_features, golden.map("dist_g_fts"), OPS)
    assert_close(g_proto, golden["dist_g_proto"], OPS)
    assert_close(distance(features, proto, 5.0), golden["dist_scaler5"], OPS)
    zero = distance(features, np.zeros_like(proto))
    np.testing.assert_array_equal(zero, golden["dist_zero_proto"])


def _support_mask(fore, back):
    return np.where(fore == 1, 1, np.where(back == 1, 0, IGNORE)).astype(np.int32)


def _by_episode(x, count, rows):
    """Arrays [count B, ...] of the original, episodes last, as [B, count, ...]."""
    return x.reshape(count, rows, *x.shape[1:]).swapaxes(0, 1)


@pytest.mark.parametrize("name", ["1way_1shot", "2way_5shot", "2way_1shot_skip"])
def test_prototypes_and_losses(name):
    golden = load(f"panet_proto_{name}")
    layout = golden.text("layout")
    rows, queries = layout["B"], layout["NQ"]
    supports = layout["way"] * layout["shot"] * rows
    mask = _support_mask(golden["fore_mask"], golden["back_mask"])
    mask = np.moveaxis(mask, 2, 0)  # [B, N, K, H, W]
    truth = golden["query_label"].astype(np.int32)
    batch = {
        "support_mask": mask,
        "shot_valid": np.ones(mask.shape[:3], bool),
        "query_mask": _by_episode(truth, queries, rows),
    }
    matching = Matching()

    @jax.jit
    def forward(features):
        shots = _by_episode(features[:supports], -1, rows)
        shots = shots.reshape(-1, *features.shape[1:])
        asked = _by_episode(features[supports:], queries, rows)
        asked = asked.reshape(-1, *features.shape[1:])
        centres = panet_terms.prototypes(matching, shots, batch)
        low = matching.logits(asked, centres)
        logits = matching.to_image(low, mask.shape[-2:])
        of_queries, area = panet_terms.query_prototypes(matching, asked, low, batch)
        aligned = panet_terms.alignment(matching, shots, of_queries, area, batch)
        query = cross_entropy(logits, batch["query_mask"])
        return {
            "centres": centres,
            "low": low,
            "logits": logits,
            "of_queries": of_queries,
            "aligned": aligned,
            "query": query,
        }

    features = golden.map("fts")
    found = forward(features)
    centres = np.asarray(found["centres"])
    ways = golden["fg_prototypes"]
    ways = ways.reshape(rows, layout["way"], -1, ways.shape[-1]).mean(2)
    assert_close(centres[:, 1:], ways, OPS)
    assert_close(centres[:, :1], golden["bg_prototype"], OPS)
    low = jnp.moveaxis(found["low"], -1, 2)  # [B, Q, J, h, w]
    assert_close(low.swapaxes(0, 1), golden["pred"], OPS)
    output = _by_episode(golden.map("output"), queries, rows)
    assert_close(found["logits"], output, OPS)
    assert_close(found["of_queries"], golden["qry_prototypes"], OPS)
    assert_close(found["aligned"], golden["align_loss"], OPS)
    assert_close(found["query"], golden["query_loss"], OPS)
    for part, key in (
        (lambda f: forward(f)["aligned"] + forward(f)["query"], "g_fts_total"),
        (lambda f: forward(f)["aligned"], "g_fts_align"),
    ):
        assert_close(jax.jit(jax.grad(part))(features), golden.map(key), OPS)
