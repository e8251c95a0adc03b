"""ContrastiveSeg's losses, anchors and queues against recorded numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.losses import cross_entropy
from ppcjax.ops import anchors as anchor_ops
from ppcjax.ops import pixel_contrast, released_memory
from ppcjax.ops.resize import resize, shrink_nearest
from ppcjax.types import IGNORE
from tests.golden.arrays import assert_close, load

D8 = np.arange(8)
BATCH, MEMORY, QUEUE = load("cseg_pcl"), load("cseg_pcl_mem"), load("cseg_queue")


def _labels(golden, name="labels"):
    labels = golden[name].astype(np.int32)
    return np.where(labels == -1, IGNORE, labels)


def _on_grid(mask, like):
    return np.asarray(shrink_nearest(mask, like.shape[1:3])).reshape(len(mask), -1)


def _recorded_rows(golden, name, cells):
    """Cells and labels of the recorded anchors, view-major."""
    index = golden[f"{name}_anchor_idx"].astype(np.int32)  # [G, V]
    cell = golden[f"{name}_anchor_img"][:, None] * cells + index
    label = np.repeat(golden[f"{name}_anchor_cls"][:, None], index.shape[1], axis=1)
    return cell.T.ravel(), label.T.ravel().astype(np.int32)


def _released(golden):
    """The banks as the released loss reads them."""
    region, pixel = golden["segment_queue"], golden["pixel_queue"]
    filled = np.full(len(region), region.shape[1], np.int32)
    banks = [{"slots": x, "filled": filled} for x in (region, pixel)]
    return [released_memory.as_read(jax.tree.map(jnp.asarray, b)) for b in banks]


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _value_and_grad(features, cell, label, temperature, base, with_anchors, banks=()):
    """Nats of each row, the loss, and its gradient with respect to the features."""

    def loss(features):
        rows = features.reshape(-1, features.shape[-1])[cell]
        without = None
        if banks:
            count, slots = banks[0]["slots"].shape[:2]
            without = released_memory.masked_positive(label, count, 2 * slots)
        arguments = {
            "banks": banks,
            "with_anchors": with_anchors,
            "temperature": temperature,
            "without": without,
            "block": 50,
        }
        nats, _ = pixel_contrast.row_nats(rows, label, **arguments)
        total = pixel_contrast.contrast(rows, label, base_temperature=base, **arguments)
        return total, nats

    (total, nats), grad = jax.value_and_grad(loss, has_aux=True)(features)
    return nats, total, grad


@pytest.mark.parametrize("name", BATCH.text("settings"))
def test_contrast_within_the_batch(name):
    golden = BATCH
    setting = golden.text("settings")[name]
    features = golden.map("feats")
    cell, label = _recorded_rows(golden, name, features[0, ..., 0].size)
    nats, total, grad = _value_and_grad(
        features, cell, label, setting["temperature"], setting["base_temperature"], True
    )
    assert_close(-nats, golden[f"{name}_mean_log_prob_pos"], 1e-5)
    assert_close(total, golden[f"{name}_loss"], 1e-5)
    assert_close(grad, golden.map(f"{name}_g_feats"), 1e-5)


def _settings():
    """One setting is quick; others of a recording have as many shapes to compile."""
    first, *others = BATCH.text("settings")
    return [first, *(pytest.param(name, marks=pytest.mark.slow) for name in others)]


@pytest.mark.parametrize("name", _settings())
def test_which_pairs_are_anchors_and_how_many(name):
    golden = BATCH
    setting = golden.text("settings")[name]
    labels = _on_grid(_labels(golden), golden.map("feats"))
    wrong = labels != golden["predict"].reshape(labels.shape)
    num_classes = 1 + labels[labels != IGNORE].max()
    found = anchor_ops.select(
        labels,
        wrong,
        anchor_ops.draw(jax.random.key(0), *labels.shape, num_classes),
        max_anchors=setting["max_samples"],
        max_views=setting["max_views"],
    )
    pairs, views = setting["total_classes"], setting["n_view"]
    assert (found.pairs, found.views) == (pairs, views)
    used = np.asarray(found.label) != IGNORE
    assert used.sum() == pairs * views
    cell = np.asarray(found.cell)[used].reshape(views, pairs)
    image, place = np.divmod(cell, labels.shape[1])
    np.testing.assert_array_equal(image[0], golden[f"{name}_anchor_img"])
    classes = np.asarray(found.label)[used].reshape(views, pairs)
    np.testing.assert_array_equal(classes[0], golden[f"{name}_anchor_cls"])
    np.testing.assert_array_equal(labels[image, place], classes)
    hard = wrong[image, place]
    np.testing.assert_array_equal(hard.sum(0), golden[f"{name}_num_hard_keep"])
    assert np.all(np.diff(hard.astype(int), axis=0) <= 0)  # hard ones first
    assert all(len(set(column)) == views for column in cell.T)


@pytest.mark.parametrize("name", MEMORY.text("settings"))
def test_contrast_against_the_released_memory(name):
    golden = MEMORY
    setting = golden.text("settings")[name]
    features = golden.map("feats")
    cell, label = _recorded_rows(golden, name, features[0, ..., 0].size)
    banks = _released(golden)
    nats, total, grad = _value_and_grad(
        features,
        cell,
        label,
        setting["temperature"],
        setting["base_temperature"],
        False,
        tuple(banks),
    )
    assert_close(-nats, golden[f"{name}_mean_log_prob_pos"], 1e-5)
    assert_close(total, golden[f"{name}_loss"], 1e-5)
    assert_close(grad, golden.map(f"{name}_g_feats"), 1e-5)


@pytest.mark.parametrize("name", ["plain", "mem"])
def test_segmentation_and_contrast_together(name):
    golden = load("cseg_celoss")
    setting = golden.text("contrast")
    mask = _labels(golden, "target")
    features = golden.map("embed")
    cell, label = _recorded_rows(golden, f"{name}_with_embed", features[0, ..., 0].size)
    banks = tuple(_released(golden)) if name == "mem" else ()

    @jax.jit
    def segmentation(logits):
        logits = resize(logits, mask.shape[1:], align_corners=True)
        return cross_entropy(logits, mask, class_weights=golden["ce_weight"])

    seg, g_seg = jax.value_and_grad(segmentation)(golden.map("seg"))
    _, contrast, g_embed = _value_and_grad(
        features,
        cell,
        label,
        setting["temperature"],
        setting["base_temperature"],
        name == "plain",
        banks,
    )
    weight = setting["loss_weight"]
    assert_close(seg + weight * contrast, golden[f"{name}_with_embed_loss"], 1e-5)
    assert_close(seg, golden[f"{name}_no_embed_loss"], 1e-5)
    assert_close(g_seg, golden.map(f"{name}_with_embed_g_seg"), 1e-5)
    assert_close(weight * g_embed, golden.map(f"{name}_with_embed_g_embed"), 1e-5)


@pytest.mark.parametrize("prefix", ["", "mismatch_"])
def test_queues_of_the_released_program(prefix):
    golden = QUEUE
    stride, most = int(golden["network_stride"]), int(golden["pixel_update_freq"])
    num_classes = len(golden[f"{prefix}segment_queue_0"])
    push = jax.jit(released_memory.push)
    banks = [
        {
            "slots": golden[f"{prefix}{name}_queue_0"],
            "next": np.zeros(num_classes, np.int32),
        }
        for name in ("segment", "pixel")
    ]
    for step in golden.having(rf"{prefix}keys_(\d+)"):
        keys = golden.map(f"{prefix}keys_{step}")
        labels = _labels(golden, f"{prefix}labels_{step}")[:, ::stride, ::stride]
        labels = labels.reshape(len(labels), -1)
        chosen = np.zeros((len(labels), num_classes, most), np.int32)
        pieces = np.split(
            golden[f"{prefix}perms_{step}"],
            np.cumsum(golden[f"{prefix}perm_len_{step}"])[:-1],
        )
        for image, shown in enumerate(labels):
            for label in np.unique(shown[(shown > 0) & (shown != IGNORE)]):
                piece = pieces.pop(0)
                assert len(piece) == (shown == label).sum()
                chosen[image, label, : len(piece[:most])] = piece[:most]
        assert not pieces
        flat = keys.reshape(len(keys), -1, keys.shape[-1])
        banks = push(*banks, flat, labels, chosen)
        for bank, name in zip(banks, ("segment", "pixel"), strict=True):
            recorded = golden[f"{prefix}{name}_queue_{step}"]
            assert_close(bank["slots"], recorded, 1e-6)
            np.testing.assert_array_equal(
                bank["next"], golden[f"{prefix}{name}_ptr_{step}"]
            )


def _unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.slow
def test_numbers_of_the_formula():
    """Twelve anchors and twelve slots; values worked out in float64."""
    g, v = np.meshgrid(np.arange(4), np.arange(3))  # view-major rows
    rows = _unit(np.sin(1 + 1.3 * g[..., None] + 0.7 * v[..., None] + 0.37 * D8))
    rows = rows.reshape(12, 8)
    label = np.tile(np.int32([0, 1, 0, 2]), 3)
    c, m = np.meshgrid(np.arange(3), np.arange(4), indexing="ij")
    slots = _unit(np.cos(0.5 + 1.1 * c[..., None] + 0.9 * m[..., None] + 0.21 * D8))
    bank = {"slots": jnp.asarray(slots), "filled": np.full(3, 4, np.int32)}

    def loss(temperature, **more):
        return pixel_contrast.contrast(
            rows, label, temperature=temperature, base_temperature=0.07, **more
        )

    np.testing.assert_allclose(loss(0.1, with_anchors=True), 9.899307872, rtol=1e-5)
    np.testing.assert_allclose(loss(0.07, with_anchors=True), 9.693602619, rtol=1e-5)
    fixed = loss(0.07, with_anchors=False, banks=[bank])
    np.testing.assert_allclose(fixed, 9.525384745, rtol=1e-5)
    released = {"with_anchors": False, "banks": [released_memory.as_read(bank)]}
    unmasked = loss(0.07, **released)
    np.testing.assert_allclose(unmasked, 9.384554509, rtol=1e-5)
    without = released_memory.masked_positive(label, 3, 4)
    masked = loss(0.07, without=without, **released)
    np.testing.assert_allclose(masked, 9.672219217, rtol=1e-5)
    nats, _ = pixel_contrast.row_nats(
        rows, label, temperature=0.07, without=without, **released
    )
    of_rows = [9.871118, 8.529823, 14.553842, 5.726480, 4.689846, 7.222688]
    of_rows += [14.609716, 10.524239, 12.235715, 5.980496, 12.394789, 9.727879]
    np.testing.assert_allclose(nats, of_rows, rtol=1e-5)
