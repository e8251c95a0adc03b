"""Weighted cross-entropy of upsampled logits against recorded numbers."""

import jax
import numpy as np

from ppcjax.losses import cross_entropy
from ppcjax.ops.resize import resize
from ppcjax.types import IGNORE
from tests.golden.arrays import assert_close, load


def test_loss_and_gradient():
    golden = load("cseg_celoss")
    mask = np.where(golden["target"] == -1, IGNORE, golden["target"].astype(np.int32))

    def loss(logits):
        logits = resize(logits, mask.shape[1:], align_corners=True)
        return cross_entropy(logits, mask, class_weights=golden["ce_weight"])

    value, grad = jax.jit(jax.value_and_grad(loss))(golden.map("seg"))
    assert_close(value, golden["plain_no_embed_loss"], 1e-5)
    assert_close(grad, golden.map("plain_no_embed_g_seg"), 1e-5)
