"""Masks of a data set: how their files say which pixel is which class.

pixels       the exact values of one file of any lossless form
ids          one index mask, and the check of its ids
colours      class ids by colour
class_files  one file for each class of a photo
scanning     what the files of a set hold
rules        how a set is to be read; with palettes and white, its harder cases
how          what the rules say, and reading a mask that way
opening      all masks of a set, ready to be read
"""

from ppcjax.data_pipelines.masks.ids import check_ids, read_mask
from ppcjax.data_pipelines.masks.opening import MaskFile, Masks, open_masks
from ppcjax.data_pipelines.masks.pixels import LOSSY_SUFFIXES, MASK_SUFFIXES

__all__ = [
    "LOSSY_SUFFIXES",
    "MASK_SUFFIXES",
    "MaskFile",
    "Masks",
    "check_ids",
    "open_masks",
    "read_mask",
]
