"""What PixPro configs share, and the methods it is compared with, as changes to one.

    instance         with the instance loss of the released program
    simclr           with the instance loss of the paper
    byol             the instance loss alone, without pixels
    no_propagation   plain consistency of pixels
    pixcontrast      contrast of pixels, the paper's baseline
    pyramid          on the levels of a feature pyramid; our own design

Each is a variant of the configs that use it: --config configs/pixpro_shapes.py:byol
"""

from ppcjax.configs import base

METHOD = dict(
    name="pixpro",
    loss="pixpro",
    pixel_weight=1.0,
    threshold=0.7,  # diagonals of a cell
    power=2.0,
    clamp=0.0,
    transform_layers=1,
    instance_weight=0.0,
    instance="byol",
    momentum=0.99,
)

VARIANTS = {
    "": {},
    "instance": dict(instance_weight=1.0),
    "simclr": dict(instance_weight=1.0, instance="simclr"),
    "byol": dict(pixel_weight=0.0, instance_weight=1.0),
    "no_propagation": dict(loss="consistency"),
    "pixcontrast": dict(loss="pixcontrast"),
    "pyramid": dict(
        pyramid=dict(endpoints=("stage2", "stage3", "stage4"), width=256, coarser=1)
    ),
}


def vary(c, variant, **own):
    """The config `c` with a variant applied and named.

    Args:
        c: a PixPro config.
        variant: a key of VARIANTS.
        **own: changes to c.method of its own, in place of VARIANTS, by variant.
    """
    changes = base.choose(variant, VARIANTS)
    if variant:
        c.name = f"{c.name}_{variant}"
    c.method.update(own.get(variant, changes))
    return c
