"""The published rows: their configs, classes, and the batch that each chip takes."""

from typing import NamedTuple


class Row(NamedTuple):
    """A config of a published row.

    config: "NAME[:VARIANT]" in configs/.
    classes: C of its data set.
    each: images or episodes on each chip.
    """

    config: str
    classes: int
    each: int

    @property
    def path(self) -> str:
        """The config as benchmarks.config reads it."""
        name, colon, variant = self.config.partition(":")
        return f"configs/{name}.py{colon}{variant}"


VOC, CITYSCAPES, CAMVID, NONE = 21, 19, 11, 1
# In the order of what a compile of them takes.
PUBLISHED = (
    Row("panet_voc", VOC, 1),
    Row("panet_voc:shot5", VOC, 1),
    Row("pixpro_imagenet", NONE, 64),
    Row("asgnet_voc", VOC, 1),
    Row("asgnet_voc:shot5", VOC, 1),
    Row("asgnet_voc:resnet101", VOC, 1),
    Row("deeplab_voc:v2", VOC, 2),
    Row("deeplab_voc:v1", VOC, 2),
    Row("affinity_voc", VOC, 2),
    Row("ppc_voc:cam", VOC, 2),
    Row("eps_voc", VOC, 2),
    Row("ppc_voc:seam", VOC, 2),
    Row("ppc_voc", VOC, 2),
    Row("eps_voc:ppc", VOC, 2),
    Row("contrastive_cityscapes:deeplab101_nomem", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_ce", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_nomem", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_mem_official", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_mem_fixed", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_mem_paper", CITYSCAPES, 1),
    Row("contrastive_cityscapes:hrnet48_ocr", CITYSCAPES, 1),
    Row("contrastive_camvid", CAMVID, 2),
)
# Chips: 256, 16 and 1.
TOPOLOGIES = ("v5e:16x16", "v5e:4x4", "v5e:1x1")


def named(config: str) -> Row | None:
    """The row of "NAME[:VARIANT]", or None."""
    return next((row for row in PUBLISHED if row.config == config), None)
