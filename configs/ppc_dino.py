"""From tags with a frozen DINOv2 ViT-S/14, on VOC-style photos: CAM, SEAM and PPC.

Each photo passes the transformer once; what is learnt on its features takes minutes.
Maps are those of the classifier where the class token looks, carried once along the
affinity of tokens, or of PPC's projections, which are all that its contrasts can train
here. Besides the variants of ppc.py, of which cam learns by classification alone, there
are maps of cam's classifier made with less, or more:

    plain            as they are
    affinity         only carried along the affinity
    self_attention   carried along the last block's attention instead

Point data.root at the photos, and frozen.weights at other weights if you have them.
Run: python train.py --config configs/ppc_dino.py[:VARIANT]   (configs/ppc.py)
"""

from ppcjax.configs import base, ppc, voc

SIDE = 392  # pixels, 28 patches; longer and shorter photos are brought to it

# What looks at the photos, under any method.
FROZEN = dict(
    backbone="vit_s14",
    backbone_settings=dict(),
    weights="dinov2_vits14",
    endpoint="embedding",
    dtype="float32",
    beside=(),
    debias=0,  # directions
    batch_size=4,
    cache="",
    cache_gib=20.0,
)
# Each photo looks the same each time, so that the network sees it once.
DATA = dict(
    batch_size=16,
    crop=SIDE,  # pixels
    long_side=(SIDE, SIDE),  # pixels
    flip=False,
)
EVAL = dict(scales=(1.0,), flip=False, max_side=SIDE, enlarge=True)

# What the maps of a variant are made by, where it is not the class token's attention
# and the affinity of tokens.
MAPS = {
    "plain": dict(class_attention=0.0, maps="cam"),
    "affinity": dict(class_attention=0.0),
    "self_attention": dict(affinity_from="attention"),
}


def get_config(variant=""):
    base.choose(variant, (*ppc.VARIANTS, *MAPS))
    c = base.get_config()
    c.name = "ppc_dino"
    c.steps = 1000
    c.log_every = 50
    c.checkpoint_every = 200
    c.frozen = dict(FROZEN, beside=("class_attention",))
    c.method = dict(
        name="ppc",
        backbone="frozen",
        pooling="lse",  # by the mean, maps cover whole photos
        pooling_sharpness=0.5,
        affinity_from="embedding",
        affinity_power=2.0,
        class_attention=1.0,
        dropout=0.0,
        jitter=(0.0, 0.0, 0.0, 0.0),
        small_view=224,  # pixels, 16 patches; the network looks at it, too
        # The affinity of the embedding has nothing to learn, refined maps neither.
        min_pooling=0.0,
        cross_equivariance=0.0,
        equivariance=1.0,
        cross_prototype=0.1,
        cross_cam=0.1,
        intra=0.1,
        contrast_start=400,
        pseudo_threshold=0.35,
        maps="affinity",
    )
    c.data = dict(voc.DATA, **DATA, eval_split="train")
    c.optim = dict(name="adamw", lr=0.003, power=0.9, weight_decay=1e-4)
    c.eval = dict(EVAL, threshold=0.45, report_classes=())
    c = ppc.vary(c, "cam" if variant in MAPS else variant)
    c.method.maps = "affinity"
    if any(c.method[name] for name in ("cross_prototype", "cross_cam", "intra")):
        # All that contrast can train: the network does not learn.
        c.method.affinity_from = "projection"
    if variant in MAPS:
        c.name = f"ppc_dino_{variant}"
        c.method.update(MAPS[variant])
    if variant == "self_attention":
        del c.method.affinity_power
        c.frozen.beside = ("class_attention", "attention")
    elif not c.method.class_attention:
        c.frozen.beside = ()  # any network has that
    return c
