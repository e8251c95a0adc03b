"""TFDS builder of PASCAL VOC 2012 with SBD masks: sharded records, fast to read.

    python -m ppcjax.data_pipelines.voc_builder --root VOCdevkit/VOC2012 --tfds_dir DIR

prepares the splits whose lists are there; training then reads them with
--config.data.source=voc --config.data.tfds_dir=DIR. The JPEG bytes are kept as they
are. Masks are stored as grey PNGs of class ids: the palette PNGs of VOC decode to
colours, not ids, everywhere but in Pillow.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ppcjax import checkout
from ppcjax.types import UserError

if __name__ == "__main__":
    # Before the import, so that the line stands in the place of a traceback.
    try:
        checkout.require("preparing records", "tensorflow_datasets")
    except UserError as error:
        sys.exit(f"error: {error}")
import tensorflow_datasets as tfds

from ppcjax.data_pipelines.sources.voc import ADVICE, CLASSES, voc


class PascalVocMasks(tfds.core.GeneratorBasedBuilder):
    """VOC 2012 segmentation; the manual directory is the VOC2012 folder itself."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Images, class ids, tags; ids of the splits as metadata."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = ADVICE
    pkg_dir_path = Path(__file__).parent  # TFDS would look below the package

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="PASCAL VOC 2012 with the masks of SBD (train_aug).",
            homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "mask": tfds.features.Image(
                        shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
                    ),
                    "tags": tfds.features.Sequence(tfds.features.Text()),
                    "id": tfds.features.Text(),
                }
            ),
            # The order of the lists is kept, so that the ids below name the records.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(ids={}),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        root = Path(dl_manager.manual_dir)
        lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
        if not lists:
            raise UserError(
                f"{root}: has no lists ImageSets/Segmentation/*.txt; {ADVICE}"
            )
        sources = {file.stem: voc(file.stem, root=str(root)) for file in lists}
        self.info.metadata["ids"] = {k: list(s.ids) for k, s in sources.items()}
        return {
            name: self._generate_examples(root, source)
            for name, source in sources.items()
        }

    def _generate_examples(self, root, source):
        for index, key in enumerate(source.ids):
            record = source.record(index)
            mask = record.mask()
            if mask is None:
                raise UserError(f"{root}: image {key!r} has no mask; {ADVICE}")
            tags = record.tags()
            yield (
                key,
                {
                    "image": root / "JPEGImages" / f"{key}.jpg",
                    "mask": mask.astype(np.uint8)[..., None],
                    "tags": [CLASSES[c] for c in np.flatnonzero(tags) if c > 0],
                    "id": key,
                },
            )


def prepare(root: str, tfds_dir: str, *, file_format: str = "array_record") -> Path:
    """Writes the records of all splits that have a list.

    Args:
        root: VOC2012 folder.
        tfds_dir: where to write.
        file_format: "array_record" can be read at random, which training needs;
            "tfrecord" is for other programs.

    Returns:
        The folder of the prepared set.
    """
    builder = PascalVocMasks(data_dir=tfds_dir, file_format=file_format)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=Path(root).expanduser().absolute()
        )
    )
    return Path(builder.data_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Prepare VOC as TFDS records.")
    parser.add_argument("--root", required=True, help="VOCdevkit/VOC2012")
    parser.add_argument("--tfds_dir", required=True, help="where to write")
    parser.add_argument("--file_format", default="array_record")
    arguments = parser.parse_args()
    try:
        print(prepare(**vars(arguments)))
    except UserError as error:
        parser.exit(1, f"{error}\n")
