"""Sources of images by name: functions of a split and of settings in config.data."""

from ppcjax.data_pipelines import shapes as generator
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.data_pipelines.sources.cityscapes import CLASSES as CITYSCAPES
from ppcjax.data_pipelines.sources.cityscapes import cityscapes
from ppcjax.data_pipelines.sources.embedded import shapes
from ppcjax.data_pipelines.sources.folder import folder
from ppcjax.data_pipelines.sources.unlabelled import imagenet, photos
from ppcjax.data_pipelines.sources.voc import CLASSES as VOC
from ppcjax.data_pipelines.sources.voc import voc

__all__ = ["CLASSES", "SOURCES", "SPLITS", "Record", "Source"]

SOURCES = {
    "cityscapes": cityscapes,
    "folder": folder,
    "imagenet": imagenet,
    "photos": photos,
    "shapes": shapes,
    "voc": voc,
}

# Splits of the sources that have no others, whatever lies on the disk.
SPLITS = {"shapes": tuple(generator.SPLITS)}

# Class names of the sources whose data set fixes them.
CLASSES = {
    "cityscapes": CITYSCAPES,
    "imagenet": (),
    "photos": (),
    "shapes": generator.CLASSES,
    "voc": VOC,
}
