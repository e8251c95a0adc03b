"""PixPro and the methods it is compared with, as changes to a PixPro config.

    instance         with the instance loss of the released program
    simclr           with the instance loss of the paper
    byol             the instance loss alone, without pixels
    no_propagation   plain consistency of pixels
    pixcontrast      contrast of pixels, the paper's baseline

Each is a variant of the configs that use it: --config configs/pixpro_shapes.py:byol
"""

VARIANTS = {
    "": {},
    "instance": dict(instance_weight=1.0),
    "simclr": dict(instance_weight=1.0, instance="simclr"),
    "byol": dict(pixel_weight=0.0, instance_weight=1.0),
    "no_propagation": dict(loss="consistency"),
    "pixcontrast": dict(loss="pixcontrast"),
}


def vary(c, variant):
    """The config `c` with a variant applied and named."""
    if variant not in VARIANTS:
        known = ", ".join(name for name in VARIANTS if name)
        raise ValueError(f"no variant {variant!r}; there are {known}")
    if variant:
        c.name = f"{c.name}_{variant}"
    c.method.update(VARIANTS[variant])
    return c
