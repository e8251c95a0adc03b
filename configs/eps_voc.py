"""EPS, and PPC on EPS: VOC 2012 train_aug from tags and saliency maps, as published.

Lee et al., CVPR 2021; Du et al., CVPR 2022. Beside what configs/ppc_voc.py needs, a
folder of saliency maps ID.png in data.saliency (published: of PFAN).
Run: python train.py --config configs/eps_voc.py[:ppc]
"""

from ppcjax.configs import base, ppc_voc

VARIANTS = ("", "ppc")

# What EPS does otherwise than PPC on SEAM.
METHOD = dict(
    background=-1,
    dropout=0.0,
    saliency=1.0,
    saliency_overlap=0.4,
    saliency_balance=0.5,
    losses_at="network",
    teacher_background=0,  # as released, where the background is the last channel
    prototype_share=0.0625,
    pseudo_threshold=0.1,
    maps="softmax",
)
# And without PPC's contrasts.
ALONE = {
    "min_pooling": 0.0,
    "equivariance": 0.0,
    "cross_equivariance": 0.0,
    "cross_prototype": 0.0,
    "cross_cam": 0.0,
    "intra": 0.0,
}


def get_config(variant=""):
    base.choose(variant, VARIANTS)
    c = ppc_voc.get_config()
    c.name = "eps_voc_ppc" if variant else "eps_voc"
    c.steps = 19_830 if variant else 20_000  # PPC's makes two updates an iteration
    c.method.update(METHOD)
    if not variant:
        c.method.update(ALONE)
        c.data.long_side = (256, 512)  # pixels
    c.data.saliency = ""  # the folder of saliency maps
    c.eval.convention = "eps"
    c.eval.threshold = 0.22 if variant else 0.2
    return c
