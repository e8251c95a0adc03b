"""A segmenter on your own photos with masks, or with masks that another run exported.

Part of the photos is held out, and evaluated.

Run: python train.py --config configs/segment_folder.py --config.data.root=PHOTOS
         --config.data.masks=MASKS
"""

from ppcjax.configs import segment_mobilenet, voc


def get_config():
    base = segment_mobilenet.get_config()
    c = voc.to_folder(base, train="train", evaluated="val")
    c.name = "segment_folder"
    return c
