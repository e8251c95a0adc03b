"""PPC and the methods it is compared with, as changes to a PPC config.

    cam     classification only, plain activation maps
    seam    SEAM: equivariance, min-pooling and pixel correlation, no contrast
    no_X    PPC without one of its three contrasts

Each is a variant of the configs that use it: --config configs/ppc_voc.py:seam
"""

from ppcjax.configs import base

_NO_CONTRAST = {"cross_prototype": 0.0, "cross_cam": 0.0, "intra": 0.0}
_NO_SEAM = {"min_pooling": 0.0, "equivariance": 0.0, "cross_equivariance": 0.0}

VARIANTS = {
    "": {},
    "cam": {**_NO_CONTRAST, **_NO_SEAM, "maps": "cam"},
    "seam": _NO_CONTRAST,
    "no_cross_prototype": {"cross_prototype": 0.0},
    "no_cross_cam": {"cross_cam": 0.0},
    "no_intra": {"intra": 0.0},
}


def vary(c, variant):
    """The config `c` with a variant applied and named."""
    c.method.update(base.choose(variant, VARIANTS))
    if variant:
        c.name = f"{c.name}_{variant}"
    return c
