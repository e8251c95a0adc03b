"""Masks of a data set: how their files say which pixel is which class.

ids      one index mask, and the check of its ids
opening  all masks of a set, and how they are to be read
"""

from ppcjax.data_pipelines.masks.ids import check_ids, read_mask
from ppcjax.data_pipelines.masks.opening import MaskFile, Masks, open_masks

__all__ = ["MaskFile", "Masks", "check_ids", "open_masks", "read_mask"]
