"""ASGNet on the embedded `shapes` with held-out classes, from scratch, in minutes.

Run: python train.py --config configs/asgnet_shapes.py[:VARIANT]

    released    the sum of similarities as prior; trained on one shot, it fails on five
"""

from configs import base, panet_shapes

VARIANTS = {"": {}, "released": {"prior": "sum", "seed_count": "released"}}


def get_config(variant=""):
    if variant not in VARIANTS:
        known = ", ".join(name for name in VARIANTS if name)
        raise ValueError(f"no variant {variant!r}; there are {known}")
    c = base.get_config()
    c.update(panet_shapes.get_config())
    c.name = f"asgnet_shapes_{variant}" if variant else "asgnet_shapes"
    c.method = dict(
        name="asgnet",
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        endpoints=("stage4", "stage3"),
        backbone_gradient=True,  # there are no weights to start from
        head="enrichment",
        head_settings=dict(scales=(1.0, 0.5, 0.25)),
        width=32,
        dropout=0.1,
        superpixels_at_most=5,
        superpixel_cells=25,  # of the 24 x 24 of a photo
        iterations=(10, 5),
        prior="mean",
        seed_count="placed",
        auxiliary=1.0,
    )
    c.method.update(VARIANTS[variant])
    c.data.shot, c.data.least_shot = 1, 1
    c.eval.align_corners = True
    return c
