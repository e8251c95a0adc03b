"""What variants of a PPC config leave out."""

import pytest

from ppcjax.configs import ppc, ppc_shapes

CONTRASTS = {"cross_prototype", "cross_cam", "intra"}
KEPT = {
    "cam": set(),
    "seam": set(),
    **{f"no_{name}": CONTRASTS - {name} for name in CONTRASTS},
    **{f"only_{name}": {name} for name in CONTRASTS},
    "": CONTRASTS,
    "tagged": CONTRASTS,
}


@pytest.mark.parametrize("variant", ppc.VARIANTS)
def test_contrasts_of_variants(variant):
    method = ppc_shapes.get_config(variant).method
    assert {name for name in CONTRASTS if method[name]} == KEPT[variant]
    assert bool(method.equivariance) == (variant != "cam")
