"""Seeded damage to good folders, each with what must then be read.

base         places of photos, masks and lists in folders, and outcomes
files        photos and files beside them
masks        masks
texts        tables, and texts as such
lists        class lists, colours and lists of splits
annotations  files of annotation tools
"""

from tests.data.mutations import annotations, files, lists, masks, texts
from tests.data.mutations.base import Mutation, Outcome

__all__ = ["MUTATIONS", "Mutation", "Outcome"]

MUTATIONS: dict[str, Mutation] = {
    **files.FILES.found,
    **masks.MASKS.found,
    **texts.TEXTS.found,
    **lists.LISTS_OF_NAMES.found,
    **annotations.ANNOTATIONS.found,
}
