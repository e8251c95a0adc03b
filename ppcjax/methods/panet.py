"""PANet: pixels are the class of the prototype they point to, and vice versa.

Wang et al., "PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment",
ICCV 2019. The variant on a deep-stem ResNet (MLC's and SSP's matcher) is settings of
the same function: see `configs/panet_voc.py`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.losses import cross_entropy
from ppcjax.methods import episodes, panet_terms
from ppcjax.methods.panet_terms import Matching, prototypes, query_prototypes
from ppcjax.nn import backbones
from ppcjax.nn.init import initialize
from ppcjax.nn.layers import shrink
from ppcjax.ops.masks import masked_mean
from ppcjax.types import IGNORE, Method


class Encoder(nn.Module):
    """A backbone of which one endpoint is used.

    backbone: a module of `ppcjax.nn.backbones`.
    endpoint: name of the endpoint.
    """

    backbone: nn.Module
    endpoint: str = "embedding"

    def __call__(self, image, extent=None, *, train=False):
        """[B, H, W, 3] normalised -> [B, h, w, D] float32."""
        endpoints = self.backbone(image, extent, train=train)
        return endpoints[self.endpoint].astype(jnp.float32)


def panet(
    num_classes: int,
    *,
    backbone: str = "vgg16",
    backbone_settings: dict[str, Any] | None = None,
    endpoint: str = "embedding",
    dtype: str = "float32",
    scale: float = 20.0,
    align_corners: bool = False,
    pooling: str = "image",
    alignment: float = 1.0,
    alignment_masks: str = "predicted",
) -> Method:
    """Prototypes of N classes and of the background from K masked photos each.

        p = sum_x F(x) M(x) / (sum_x M(x) + 1e-5)      of each support and mask
        P_c = mean_k p_ck,  P_0 = mean_ck p^bg_ck
        S_j(q) = scale cos(F(q), P_j),  L = CE(S, queries) + w L_align

    L_align segments the supports by prototypes of the queries. The equations are in
    `ppcjax.methods.panet_terms`.

    Args:
        num_classes: C of the data set; nothing depends on it.
        backbone: a name of `ppcjax.nn.backbones.BACKBONES`.
        backbone_settings: fields of its module.
        endpoint: which of its outputs is compared.
        dtype: "float32" or "bfloat16", of the convolutions; pooling, similarities and
            losses are float32 always.
        scale: factor of the cosines. 20 in PANet, 10 in MLC, SSP and the variant.
        align_corners: convention of all resizes between image and grid.
        pooling: where features and masks meet, "image" (PANet) or "grid" (the
            variant), see `masked_sums`.
        alignment: weight w of L_align; 0 leaves it out.
        alignment_masks: masks of the queries' prototypes, "predicted" (PANet) or
            "true" (the variant).

    Returns:
        A Method. `predict` gives {"logits": [B, Q, h, w, 1 + N]}; `fit` gives
        {"prototypes": [B, 1 + N, D]}, the background's first.

    Raises:
        ValueError: for a setting outside its range.

    Source: released training program of PANet, as described in docs/deviations.md.
    """
    del num_classes
    if pooling not in ("image", "grid"):
        raise ValueError(f"pooling={pooling!r}: choose 'image' or 'grid'")
    if alignment_masks not in ("predicted", "true"):
        raise ValueError(
            f"alignment_masks={alignment_masks!r}: choose 'predicted' or 'true'"
        )
    if not scale > 0 or alignment < 0:
        raise ValueError(
            f"scale={scale} must be above 0 and alignment={alignment} at least 0"
        )
    module, entry = backbones.make(
        backbone, dtype=jnp.dtype(dtype), **(backbone_settings or {})
    )
    net = Encoder(module, endpoint)
    true_masks = alignment_masks == "true"
    matching = Matching(scale, align_corners, pooling, true_masks)

    def init(key, batch):
        del batch  # parameter shapes do not depend on it
        image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        variables = initialize(net, key, image)
        return variables.pop("params"), variables

    def encode(params, model_state, photos, *, train=False):
        """Features [M, h, w, D] of M photos, and the next model_state."""
        image = episodes.normalize(photos, entry)
        variables = {"params": params, **model_state}
        if train:
            return net.apply(variables, image, train=True, mutable=list(model_state))
        return net.apply(variables, image, photos.extent), model_state

    def loss(params, model_state, batch, key, step):
        del key, step
        photos = episodes.all_photos(batch)
        features, model_state = encode(params, model_state, photos, train=True)
        count = batch["shot_valid"].size
        of_supports, of_queries = features[:count], features[count:]
        low = matching.logits(of_queries, prototypes(matching, of_supports, batch))
        mask = batch["query_mask"]
        logits = matching.to_image(low, mask.shape[-2:])  # [B, Q, H, W, 1 + N]
        terms = {"query": cross_entropy(logits, mask)}
        total = terms["query"]
        if alignment:
            centres, area = query_prototypes(matching, of_queries, low, batch)
            terms["alignment"] = panet_terms.alignment(
                matching, of_supports, centres, area, batch
            )
            total = total + alignment * terms["alignment"]
        scalars = {f"loss/{name}": term for name, term in terms.items()}
        right = (jnp.argmax(logits, axis=-1) == mask).astype(jnp.float32)
        scalars["stat/accuracy"] = masked_mean(right, mask != IGNORE)
        return total, (model_state, scalars | {"loss/total": total})

    def fitted(features, batch, extent):
        return prototypes(
            matching, features, batch, extent, shrink(extent, module.stride)
        )

    def fit(params, model_state, supports):
        photos = episodes.photos(supports, "support")
        features, _ = encode(params, model_state, photos)
        return {"prototypes": fitted(features, supports, photos.extent)}

    def segment(params, model_state, centres, queries):
        features, _ = encode(params, model_state, episodes.photos(queries, "query"))
        return {"logits": matching.logits(features, centres["prototypes"])}

    def predict(params, model_state, batch):
        photos = episodes.all_photos(batch)
        features, _ = encode(params, model_state, photos)
        count = batch["shot_valid"].size
        centres = fitted(features[:count], batch, photos.extent[:count])
        return {"logits": matching.logits(features[count:], centres)}

    return Method(
        init,
        loss,
        predict,
        reads="episodes",
        gives="episodes",
        fit=fit,
        segment=segment,
    )
