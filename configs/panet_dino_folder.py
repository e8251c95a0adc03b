"""Classes of your own photos from examples, on a frozen DINOv2 ViT-S/14, untrained.

Says how well that goes: each class of PHOTOS/masks in episodes. Variants as those of
panet_dino.py; adapter learns on classes that data.novel does not name.
Run: python eval.py --config configs/panet_dino_folder.py --config.data.root=PHOTOS
     python train.py --config configs/panet_dino_folder.py:adapter
         --config.data.root=PHOTOS --config.data.novel="('cow', 'dog')"
         --config.eval.classes=novel
"""

from ppcjax.configs import panet_dino, voc


def get_config(variant=""):
    c = panet_dino.get_config(variant)
    steps = c.steps
    voc.to_folder(c)
    c.steps = steps  # of the adapter: few are enough, whatever the number of photos
    c.name = c.name.replace("dino", "dino_folder", 1)
    c.method.backbone = "frozen"
    c.init_from = ""
    c.data.novel = ()  # classes that training never learns
    c.eval.classes = "base"
    c.data.min_pixels = c.eval.min_pixels = 100  # photos of any size
    return c
