"""ASGNet on photos with masks, ImageNet MobileNetV2, for machines without a GPU.

Point data.root at the photos and init_from at the weights; name the held-out classes
in data.novel. For a folder of your own: --config.data.source=folder, and no
data.tags and data.tfds_dir.
Run: python train.py --config configs/asgnet_mobilenet.py
"""

from configs import base, panet_mobilenet


def get_config():
    c = base.get_config()
    c.update(panet_mobilenet.get_config())
    c.name = "asgnet_mobilenet"
    c.steps = 600
    c.method = dict(
        name="asgnet",
        backbone="mobilenet_v2",
        endpoints=("stage4", "stage3"),
        backbone_gradient=False,
        head="enrichment",
        head_settings=dict(scales=(1.0, 0.5, 0.25)),
        width=64,
        dropout=0.1,
        dtype="float32",
        superpixels_at_most=5,
        superpixel_cells=40,  # of the 28 x 28 of a photo
        iterations=(10, 5),
        prior="mean",
        auxiliary=1.0,
        blur=0.0,
    )
    c.optim = dict(
        name="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        power=0.9,
        frozen=(r"^backbone/",),
    )
    c.eval.align_corners = True
    return c
