"""AffinityNet on your own photos and the labels that were exported for them.

Run: python train.py --config configs/affinity_folder.py --config.data.root=PHOTOS
     --config.data.masks=LABELS
"""

from ppcjax.configs import affinity_mobilenet, voc


def get_config():
    c = voc.to_folder(affinity_mobilenet.get_config(), train="train")
    c.name = "affinity_folder"
    c.passes = 10.0
    return c
