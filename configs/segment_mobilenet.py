"""The second stage on VOC-style photos with the ImageNet MobileNetV2, without a GPU.

Point data.root at the photos and data.masks at exported masks.
Run: python train.py --config configs/segment_mobilenet.py --config.data.masks=MASKS
"""

from ppcjax.configs import base, voc


def get_config():
    c = base.get_config()
    c.name = "segment_mobilenet"
    c.steps = 800
    c.log_every = 20
    c.checkpoint_every = 100
    c.init_from = "imagenet"
    c.method = dict(
        name="segment",
        backbone="mobilenet_v2",
        head="v1",
        head_settings=dict(width=128, rate=6, dropout=0.1),
        dtype="float32",
        hsv_shift=10,  # 8-bit units
        class_weights=(),
    )
    c.data = dict(
        voc.DATA,
        masks="",  # folder of exported masks; empty: the true ones, an upper bound
        with_masks=True,
        batch_size=8,
        crop=224,  # pixels
        long_side=(224, 384),  # pixels, as the first stage had them
        eval_split="val",
    )
    # SGD at the published rates needs thousands of steps; this, hundreds.
    c.optim = dict(
        name="adamw",
        lr=3e-4,
        weight_decay=1e-4,
        power=0.9,
        lr_mults=((r"^head/", 10.0),),
        frozen=(r"backbone/(stem|block[1-3])/",),  # as in the first stage
    )
    c.eval = dict(scales=(0.5, 0.75, 1.0), report_classes=())
    return c
