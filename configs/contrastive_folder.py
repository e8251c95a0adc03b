"""ContrastiveSeg on your own photos with masks, on EfficientNet-Lite0.

Part of the photos is held out, and evaluated. data.masks may point at the masks that
another run exported, such as those of PPC.
Run: python train.py --config configs/contrastive_folder.py --config.data.root=PHOTOS
         --config.data.masks=MASKS
"""

from ppcjax.configs import segment_folder


def get_config():
    c = segment_folder.get_config()
    c.name = "contrastive_folder"
    c.method = dict(
        name="contrastive_seg",
        mode="mem_fixed",  # or "nomem", "mem_paper"
        backbone="efficientnet_lite0",
        head="v1",
        head_settings=dict(width=128, rate=6, dropout=0.1),
        projection="convmlp",
        projection_dim=128,
        dtype="float32",
        hsv_shift=10,  # 8-bit units
        brightness_shift=0,
        class_weights=(),
        weight=0.1,
        warmup_steps=c.get_oneway_ref("steps") // 4,
        temperature=0.1,
        base_temperature=0.07,
        max_anchors=512,
        max_views=20,  # of an image and class; a crop's grid has 784 cells
        region_slots=500,
        pixel_slots=2000,
        pixels_per_push=10,
        slot_dtype="float32",
    )
    c.optim.lr_mults = ((r"^(head|projection)/", 10.0),)
    return c
