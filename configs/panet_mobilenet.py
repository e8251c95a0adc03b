"""PANet on photos with masks, ImageNet MobileNetV2, for machines without a GPU.

Point data.root at the photos; name the held-out classes
in data.novel. For a folder of your own there is configs/panet_folder.py.
Run: python train.py --config configs/panet_mobilenet.py
"""

from ppcjax.configs import base, voc


def get_config():
    c = base.get_config()
    c.name = "panet_mobilenet"
    c.steps = 300
    c.log_every = 20
    c.checkpoint_every = 100
    c.keep_checkpoints = 3
    c.init_from = "imagenet"
    c.method = dict(
        name="panet",
        backbone="mobilenet_v2",
        endpoint="stage4",  # the embedding of ImageNet is too sparse to compare
        dtype="float32",
        scale=20.0,
        align_corners=False,
        pooling="image",
        alignment=1.0,
        alignment_masks="predicted",
    )
    c.data = dict(
        voc.DATA,
        way=1,
        shot=2,
        least_shot=1,  # 1 or 2 supports, drawn for each episode
        query=1,
        novel=("cow", "dog"),
        validation_classes=(),  # held out too, to choose a checkpoint by
        train_classes=(),  # empty: all others
        sampling="class",  # as published; "image": classes of few photos seldom
        with_novel="drop",
        support_void="ignore",
        min_pixels=1000,
        index="",
        batch_size=4,  # episodes
        crop=224,  # pixels
        fit="crop",
        long_side=(224, 320),  # pixels
        eval_split="train_aug",  # held-out classes are new, the list need not be
    )
    c.optim = dict(
        name="sgd",
        lr=1e-3,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
        frozen=(r"backbone/(stem|block[1-3])/",),
    )
    c.eval = dict(
        protocol="own",
        shots=(1, 5),
        episodes=100,
        seeds=(0, 1, 2),
        size=224,
        min_pixels=1000,
        align_corners=False,
    )
    return c
