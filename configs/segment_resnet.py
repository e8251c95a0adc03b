"""A ResNet segmenter on few masked photos of your own, from a backbone made by PixPro.

    (none)    all layers learn: from init_from, or from random weights without it
    linear    a linear probe: a 1x1 classifier learns on the frozen backbone

The folder holds photos, masks/ and classes.txt, see docs/data.md.
Run: python train.py --config configs/segment_resnet.py[:linear]
         --config.data.root=PHOTOS --config.init_from=runs/pixpro_folder
"""

from ppcjax.configs import base, segment_shapes


def get_config(variant=""):
    c = base.get_config()
    c.name = "segment_resnet"
    c.steps = 1500
    c.method = dict(
        name="segment",
        backbone="resnet18",  # that of configs/pixpro_folder.py
        backbone_settings=dict(output_stride=16, stages=4),
        head="fcn",
        head_settings=dict(width=256, layers=2, rate=6),
        frozen_backbone=False,
        dtype="float32",
        hsv_shift=10,  # 8-bit units
        class_weights=(),
    )
    c.data = dict(
        source="folder",
        root="",  # the folder of photos and masks
        masks="",  # another folder of masks
        void=(),  # mask ids that mean "unknown", besides 255
        val_share=0.2,  # of the photos with masks, where there are no lists of splits
        with_masks=True,
        limit=0,  # masked photos to learn from; 0: all
        limit_seed=0,  # which
        batch_size=8,
        crop=256,  # pixels
        scale=(0.5, 2.0),
        train_split="train",
        val_split="",
        eval_split="val",
        on_bad_image="stop",
        workers=0,
    )
    c.optim = dict(name="adamw", lr=5e-4, weight_decay=1e-4, power=0.9, frozen=())
    c.eval = dict(scales=(1.0,), report_classes=())
    return segment_shapes.vary(c, variant, probe_lr=5e-3)
