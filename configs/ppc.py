"""PPC and the methods it is compared with, as changes to a PPC config.

    cam     classification only, plain activation maps
    seam    SEAM: equivariance, min-pooling and pixel correlation, no contrast
    no_X    PPC without one of its three contrasts
    only_X  PPC with one of them alone
    tagged  PPC whose prototypes are of photos tagged with their class, as those of
            ppc_mobilenet and ppc_folder are anyway

Each is a variant of the configs that use it: --config configs/ppc_voc.py:seam
"""

from ppcjax.configs import base

_CONTRASTS = ("cross_prototype", "cross_cam", "intra")
_NO_CONTRAST = dict.fromkeys(_CONTRASTS, 0.0)
_NO_SEAM = {"min_pooling": 0.0, "equivariance": 0.0, "cross_equivariance": 0.0}

VARIANTS = {
    "": {},
    "cam": {**_NO_CONTRAST, **_NO_SEAM, "maps": "cam"},
    "seam": _NO_CONTRAST,
    **{f"no_{name}": {name: 0.0} for name in _CONTRASTS},
    **{
        f"only_{name}": {other: 0.0 for other in _CONTRASTS if other != name}
        for name in _CONTRASTS
    },
    "tagged": {"prototype_photos": "tagged"},
}


def vary(c, variant):
    """The config `c` with a variant applied and named."""
    c.method.update(base.choose(variant, VARIANTS))
    if variant:
        c.name = f"{c.name}_{variant}"
    return c
