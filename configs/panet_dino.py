"""Classes from examples on a frozen DINOv2 ViT-S/14, without training.

    (none)       PANet's prototypes: the features are compared as they are
    adapter      a 1x1 layer on the features learns on episodes of other classes
    ridge        features are regressed on the masks, see method "ridge"
    superpixels  several prototypes of each photo, see method "superpixels"

Point data.root at the photos; name the held-out classes in data.novel.
Run: python eval.py --config configs/panet_dino.py
     python train.py --config configs/panet_dino.py:adapter
"""

from ppcjax.configs import base, panet_mobilenet, ppc_dino

COMMON = dict(backbone="frozen", endpoint="embedding", align_corners=False)
METHODS = dict(
    ridge=dict(COMMON, name="ridge", penalty=2.0, own_ground=0.5),
    superpixels=dict(
        COMMON,
        name="superpixels",
        scale=20.0,
        superpixels_at_most=5,
        superpixel_cells=50,
        iterations=5,
        length=10.0,
    ),
)


def get_config(variant=""):
    base.choose(variant, ("", "adapter", "ridge", "superpixels"))
    c = panet_mobilenet.get_config()
    c.name = f"panet_dino_{variant}" if variant else "panet_dino"
    c.init_from = ""
    # Tokens after ten of the twelve blocks tell things better than the last ones.
    c.frozen = dict(ppc_dino.FROZEN, endpoint="stage4", debias=15)
    c.method = METHODS.get(variant) or _panet(adapter=variant == "adapter")
    c.data.crop = ppc_dino.SIDE
    c.data.long_side = (ppc_dino.SIDE, ppc_dino.SIDE)
    c.data.flip = False
    c.optim = dict(name="adamw", lr=3e-4, power=0.9, weight_decay=1e-4)
    c.eval.size = ppc_dino.SIDE
    return c


def _panet(*, adapter):
    return dict(
        COMMON,
        name="panet",
        adapter=adapter,
        scale=20.0,
        pooling="grid",  # features at the size of photos would take 226 MiB each
        alignment=1.0,
        alignment_masks="predicted",
    )
