"""The second stage on your own photos: a folder of images, and one of exported masks.

Run: python train.py --config configs/segment_folder.py --config.data.root=PHOTOS
         --config.data.masks=MASKS
"""

from ppcjax.configs import segment_mobilenet


def get_config():
    c = segment_mobilenet.get_config()
    c.name = "segment_folder"
    del c.data.tags, c.data.tfds_dir
    c.data.source = "folder"
    c.data.root = ""  # the folder of photos
    c.data.void = ()  # mask ids that mean "unknown", besides 255
    c.data.val_share = 0.1  # of the photos with masks of their own
    c.data.train_split = "all"
    c.data.eval_split = "all"
    return c
