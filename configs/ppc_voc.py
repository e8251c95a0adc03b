"""PPC on SEAM: VOC 2012 train_aug from tags, WideResNet-38, as published.

Du et al., CVPR 2022; every constant is that of the released program. Needs VOC 2012
with SBD's masks in data.root; init_from is the ImageNet file of Wu et al.
Run: python train.py --config configs/ppc_voc.py[:VARIANT]   (configs/ppc.py)
"""

from ppcjax.configs import base, ppc, voc


def get_config(variant=""):
    c = base.get_config()
    c.name = "ppc_voc"
    c.steps = 10_576  # 8 epochs of 10,582 images in batches of 8
    c.checkpoint_every = 1_000
    c.init_from = "imagenet"
    c.method = dict(
        name="ppc",
        backbone="wide_resnet38",
        dtype="float32",
        small_view=128,  # pixels
        min_pooling=1.0,
        equivariance=1.0,
        cross_equivariance=1.0,
        cross_prototype=0.1,
        cross_cam=0.1,
        intra=0.1,
        temperature=0.1,
        pseudo_threshold=0.2,
        maps="refined",
    )
    c.data = dict(
        voc.DATA,
        batch_size=8,
        crop=448,  # pixels
        long_side=(448, 768),  # pixels
        val_split="val",  # where the background threshold is chosen
        eval_split="train",
    )
    c.optim = dict(
        name="sgd",
        lr=0.01,
        momentum=5e-4,  # as released: the decay in the place of the momentum
        weight_decay=5e-4,
        power=0.9,
        lr_mults=((r"^heads/", 10.0),),
        frozen=(r"bn", r"backbone/(conv1a|b2|b2_\d)/"),
    )
    c.eval = dict(threshold=0.26, scales=(0.5, 1.0, 1.5, 2.0))
    return ppc.vary(c, variant)
