"""How good features are as they are: photos of VOC labelled by their nearest patches.

Nothing is trained. Without a variant the backbone is DINOv2's small one; further ones:

    dino           DINO's small one, patches of 16 pixels
    dino_base      DINO's base one
    base           DINOv2's base one
    large          DINOv2's large one
    mobilenet      MobileNetV2, trained on ImageNet's classes
    efficientnet   EfficientNet-Lite0, trained on ImageNet's classes
    frozen         config.frozen, which keeps what it gives of each photo

Run: python eval.py --config configs/neighbours.py --config.data.root=VOC2012
"""

from ppcjax.configs import base, ppc_dino, voc

VARIANTS = {
    "frozen": dict(backbone="frozen"),
    "": dict(backbone="vit_s14"),
    "base": dict(backbone="vit_b14"),
    "large": dict(backbone="vit_l14"),
    "dino": dict(backbone="vit_s16"),
    "dino_base": dict(backbone="vit_b16"),
    "mobilenet": dict(
        backbone="mobilenet_v2", backbone_settings=dict(output_stride=16)
    ),
    "efficientnet": dict(
        backbone="efficientnet_lite0", backbone_settings=dict(output_stride=16)
    ),
}


def get_config(variant=""):
    network = base.choose(variant, VARIANTS)
    c = base.get_config()
    c.name = f"neighbours_{variant}" if variant else "neighbours"
    if variant == "frozen":
        c.frozen = dict(ppc_dino.FROZEN)
    else:
        c.init_from = "imagenet"  # the published weights of the backbone
    c.method = dict(name="features", endpoint="embedding", dtype="float32", **network)
    c.data = dict(voc.DATA, masks="", eval_split="val")
    del c.data.on_bad_image, c.data.workers  # of training
    c.eval = dict(
        memory=102_400,
        k=30,
        temperature=0.02,
        side=0,  # pixels; the largest multiple of a patch up to 512
        scores=False,
    )
    return c
