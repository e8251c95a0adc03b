"""The second stage on your own photos: a folder of images, and one of exported masks.

Run: python train.py --config configs/segment_folder.py --config.data.root=PHOTOS
         --config.data.masks=MASKS
"""

from ppcjax.configs import segment_mobilenet, voc


def get_config():
    c = voc.to_folder(segment_mobilenet.get_config())
    c.name = "segment_folder"
    return c
