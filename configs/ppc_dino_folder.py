"""PPC on your own photos, on a frozen DINOv2 ViT-S/14: a folder of images with tags.

As configs/ppc_folder.py, for those who have the weights of a transformer: each photo
passes it once, which takes most of the time.
Run: python train.py --config configs/ppc_dino_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import ppc_dino, voc


def get_config(variant=""):
    c = ppc_dino.get_config(variant)
    voc.to_folder(c, train="train", val="val")
    c.name = c.name.replace("dino", "dino_folder", 1)
    c.method.backbone = "frozen"
    c.init_from = ""
    c.method.contrast_start = c.get_oneway_ref("steps") // 3
    c.data.eval_masks = ""  # folder of masks to compare with; empty: root/masks
    return c
