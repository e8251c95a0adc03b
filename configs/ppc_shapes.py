"""PPC on the embedded `shapes`, from scratch, in minutes on a laptop.

Run: python train.py --config configs/ppc_shapes.py[:VARIANT]   (configs/ppc.py)
"""

from ppcjax.configs import base, ppc


def get_config(variant=""):
    c = base.get_config()
    c.name = "ppc_shapes"
    c.steps = 900
    c.checkpoint_every = 300
    c.method = dict(
        name="ppc",
        backbone="small_resnet",
        backbone_settings=dict(width=16),
        projection=64,
        affinity=(32, 32, 64),
        image_gain=10.0,
        dropout=0.1,
        jitter=(0.3, 0.3, 0.3, 0.1),
        small_view=64,  # pixels
        min_pooling=1.0,
        equivariance=1.0,
        cross_equivariance=1.0,
        cross_prototype=0.1,
        cross_cam=0.1,
        intra=0.1,
        contrast_start=300,
        maps="refined",
    )
    c.data = dict(
        source="shapes",
        textures="any",  # of bodies; "class": a class shares one
        size=96,
        batch_size=8,
        crop=96,
        long_side=(96, 128),  # pixels, of the longer side before cropping
        train_split="train",
        val_split="val",
        eval_split="test",
        on_bad_image="stop",
    )
    c.optim = dict(
        name="adamw",
        lr=3e-3,
        weight_decay=1e-4,
        power=0.9,
        lr_mults=((r"heads/affinity", 0.1),),
    )
    c.eval = dict(threshold=0.26, scales=(1.0,))
    return ppc.vary(c, variant)
