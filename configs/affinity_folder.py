"""AffinityNet on your own photos and the labels that were exported for them.

Run: python train.py --config configs/affinity_folder.py --config.data.root=PHOTOS
     --config.data.masks=LABELS
"""

from ppcjax.configs import affinity_mobilenet


def get_config():
    c = affinity_mobilenet.get_config()
    c.name = "affinity_folder"
    c.steps = 400
    del c.data.tags, c.data.tfds_dir
    c.data.source = "folder"
    c.data.root = ""  # the folder of photos
    c.data.void = ()  # mask ids that mean "unsure", besides 255
    c.data.val_share = 0.1  # of the photos with masks
    c.data.train_split = "all"
    c.data.eval_split = "all"
    return c
