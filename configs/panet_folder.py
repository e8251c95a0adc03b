"""PANet on your own photos with masks, on EfficientNet-Lite0.

Classes named in data.novel are held out and evaluated; without any, the classes that
were learnt are.
Run: python train.py --config configs/panet_folder.py --config.data.root=PHOTOS
         --config.data.novel="('cow', 'dog')" --config.eval.classes=novel
"""

from ppcjax.configs import panet_mobilenet, voc


def get_config():
    c = voc.to_folder(panet_mobilenet.get_config())
    c.name = "panet_folder"
    c.data.novel = ()  # classes that training never learns
    c.eval.classes = "base"
    c.data.min_pixels = c.eval.min_pixels = 100  # photos of any size
    return c
