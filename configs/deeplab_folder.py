"""DeepLab v3 on your own photos with masks, on EfficientNet-Lite0.

Crops are larger than in configs/segment_folder.py, and all layers learn: for machines
with a GPU. Part of the photos is held out, and evaluated. data.masks may point at the
masks that another run exported.
Run: python train.py --config configs/deeplab_folder.py --config.data.root=PHOTOS
         --config.data.masks=MASKS
"""

from ppcjax.configs import segment_folder


def get_config():
    c = segment_folder.get_config()
    c.name = "deeplab_folder"
    c.method.head = "v3"
    c.method.head_settings = dict(width=256, rates=(6, 12, 18), dropout=0.1)
    c.data.crop = 320  # pixels
    c.data.long_side = (320, 640)  # pixels
    c.optim.frozen = ()
    return c
