"""PPC on your own photos: a folder of images with tags.csv, or a sub-folder per tag.

The threshold of masks is chosen on photos with masks that are held out, where there are
any; all photos are evaluated.
Run: python train.py --config configs/ppc_folder.py[:VARIANT] --config.data.root=PHOTOS
"""

from ppcjax.configs import ppc_mobilenet, voc


def get_config(variant=""):
    base = ppc_mobilenet.get_config(variant)
    c = voc.to_folder(base, train="train", val="val")
    c.name = c.name.replace("mobilenet", "folder")
    c.method.contrast_start = c.get_oneway_ref("steps") // 5
    c.data.eval_masks = ""  # folder of masks to compare with; empty: root/masks
    return c
