"""PASCAL VOC 2012 with SBD's masks: what all configs on it share."""

DATA = dict(
    source="voc",
    root="~/data/VOC2012",
    tags="auto",  # tags.csv, else XML, else from the masks
    tfds_dir="",  # records prepared with ppcjax.data_pipelines.voc_builder
    train_split="train_aug",
    val_split="",
    on_bad_image="stop",
    workers=0,
)


def to_folder(c):
    """A config on VOC changed into one on a folder of photos; returns it."""
    # Its weights are a package of the ordinary index: everyone can have them.
    c.method.backbone = "efficientnet_lite0"
    c.init_from = "imagenet"
    del c.data.tags, c.data.tfds_dir
    c.data.update(source="folder", root="", train_split="all", eval_split="all")
    c.data.void = ()  # mask ids that mean "unsure", besides 255
    c.data.val_share = 0.1  # of the photos with masks
    return c
