"""PPC on your own photos: a folder of images with tags.csv, or a sub-folder per tag.

Run: python train.py --config configs/ppc_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import ppc_mobilenet, voc


def get_config(variant=""):
    c = voc.to_folder(ppc_mobilenet.get_config(variant))
    c.name = c.name.replace("mobilenet", "folder")
    c.steps = 1000
    c.data.eval_masks = ""  # folder of masks to compare with; empty: root/masks
    return c
