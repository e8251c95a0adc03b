"""A segmenter on a frozen DINOv2 ViT-S/14, on a folder of your photos and masks.

Masks of your own in PHOTOS/masks, or exported ones in data.masks. Variants as those of
segment_dino.py.
Run: python train.py --config configs/segment_dino_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import segment_dino, voc


def get_config(variant=""):
    c = voc.to_folder(segment_dino.get_config(variant), train="train", evaluated="val")
    c.name = c.name.replace("dino", "dino_folder", 1)
    c.method.backbone = "frozen"
    c.init_from = ""
    if variant == "memory":
        c.method.warmup_steps = c.get_oneway_ref("steps") // 4
    return c
