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


def to_folder(c, *, train="all", val="", evaluated="all"):
    """A config on VOC changed into one on a folder of photos; returns it.

    Steps are counted in passes over the photos, see RunSettings.

    Args:
        c: a config on VOC.
        train: split that is learnt from; "train" is what the data or the program does
            not hold out for "val".
        val: split on which thresholds and checkpoints are chosen; "" for none.
        evaluated: split that is evaluated.
    """
    c.steps = 0
    # Its weights are a package of the ordinary index: everyone can have them.
    c.method.backbone = "efficientnet_lite0"
    c.init_from = "imagenet"
    del c.data.tags, c.data.tfds_dir
    c.data.update(source="folder", root="")
    c.data.update(train_split=train, val_split=val, eval_split=evaluated)
    c.data.void = ()  # mask ids that mean "unsure", besides 255
    c.data.val_share = 0.1  # of the photos with masks
    return c
