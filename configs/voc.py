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
