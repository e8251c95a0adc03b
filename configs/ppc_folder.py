"""PPC on your own photos: a folder of images with tags.csv, or a sub-folder per tag.

Run: python train.py --config configs/ppc_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import ppc_mobilenet


def get_config(variant=""):
    c = ppc_mobilenet.get_config(variant)
    c.name = c.name.replace("mobilenet", "folder")
    c.steps = 1000
    del c.data.tags, c.data.tfds_dir
    c.data.source = "folder"
    c.data.root = ""  # the folder of photos
    c.data.eval_masks = ""  # folder of masks to compare with; empty: root/masks
    c.data.void = ()  # mask ids that mean "unknown", besides 255
    c.data.val_share = 0.1  # of the photos with masks
    c.data.train_split = "all"
    c.data.eval_split = "all"
    c.data.on_bad_image = "stop"
    return c
