"""Cityscapes with its 19 evaluated classes, in its usual folder layout.

ROOT/leftImg8bit/SPLIT/CITY/ID_leftImg8bit.png, ROOT/gtFine/SPLIT/CITY/ID_gtFine_
labelIds.png; Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene
Understanding", CVPR 2016.
"""

from ppcjax.data_pipelines.settings import Folder
from ppcjax.data_pipelines.sources import files, split_folders
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.types import UserError

CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
    *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car"),
    *("truck", "bus", "train", "motorcycle", "bicycle"),
)
# The id of each class in the label files; the ids between them are not evaluated.
LABEL_IDS = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
VOID = tuple(i for i in range(34) if i not in LABEL_IDS)
ADVICE = (
    "download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from "
    "cityscapes-dataset.com and set config.data.root to the folder that holds "
    "leftImg8bit and gtFine"
)


def cityscapes(split: str, *, root: Folder) -> Source:
    """A split of the fine annotations.

    Args:
        split: "train", "val" or "test", whose masks are all void.
        root: the folder.
    """
    path = files.directory(root, ADVICE)
    found = split_folders.find(path, split, (split_folders.CITYSCAPES,))
    if found is None:
        raise UserError(f"{path}: holds no leftImg8bit/{split} and gtFine; {ADVICE}")
    return found.source(f"{root} (split {split})", CLASSES, VOID, LABEL_IDS)
