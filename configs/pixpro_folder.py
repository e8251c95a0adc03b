"""PixPro on your own photos: any folder of images, at any depth, without labels.

On a weak machine give it a smaller crop and batch. On a strong one put the photos below
ROOT/train and train configs/pixpro_imagenet.py with --config.data.root=ROOT.

Run: python train.py --config configs/pixpro_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import base, pixpro


def get_config(variant=""):
    c = base.get_config()
    c.name = "pixpro_folder"
    c.steps = 0
    c.passes = 100.0
    c.minutes = 120.0
    c.method = dict(
        pixpro.METHOD,
        backbone="resnet18",
        backbone_settings=dict(output_stride=16, stages=4),
        endpoint="stage4",
        projector=(1024, 128),
        momentum_steps=c.get_oneway_ref("steps"),
        dtype="float32",
    )
    c.data = dict(
        source="photos",
        root="",  # the folder of photos
        batch_size=64,
        crop=128,  # pixels
        scale=(0.2, 1.0),  # share of the photo's area
        ratio=(3 / 4, 4 / 3),
        val_share=0.0,  # of the photos
        train_split="all",
        val_split="",
        eval_split="all",
        on_bad_image="skip",
        workers=0,
    )
    # Small batches: see docs/methods.md for LARS with the square-root rule.
    c.optim = dict(
        name="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        schedule=dict(
            name="warmup_cosine",
            warmup=c.get_oneway_ref("steps") // 20,
            start=0.01,
            end=1e-6,
        ),
    )
    # Strides 8, 16 and 32; at 64 a crop of 128 pixels has 2 x 2 cells, too few.
    levels = dict(endpoints=("stage2", "stage3", "stage4"), width=256, coarser=0)
    pyramid = dict(pyramid=levels, backbone_settings=dict(output_stride=32, stages=4))
    return pixpro.vary(c, variant, pyramid=pyramid)
