"""Prepares ImageNet (ILSVRC 2012) as TFDS records that can be read at random.

    python -m ppcjax.data_pipelines.imagenet_builder --root TARS --tfds_dir DIR

TARS holds ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, which ImageNet gives to
those who register at image-net.org; the builder is TFDS's own, `imagenet2012`. Training
then reads the records with --config.data.source=imagenet --config.data.tfds_dir=DIR.
"""

import argparse
import sys
from pathlib import Path

from ppcjax import checkout
from ppcjax.types import UserError

if __name__ == "__main__":
    # Before the import, so that the line stands in the place of a traceback.
    try:
        checkout.require("preparing records", "tensorflow_datasets")
    except UserError as error:
        sys.exit(f"error: {error}")
import tensorflow_datasets as tfds

TARS = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


def prepare(root: str, tfds_dir: str, *, builder: str = "imagenet2012") -> Path:
    """Writes the records of all splits.

    Args:
        root: folder of the archives.
        tfds_dir: where to write.
        builder: name of the TFDS builder.

    Returns:
        The folder of the prepared set.

    Raises:
        UserError: an archive is missing.
    """
    folder = Path(root).expanduser().absolute()
    missing = [name for name in TARS if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder}: has no {missing[0]}; download it from image-net.org, or set "
            "config.data.root to a folder of class folders, which needs no records"
        )
    made = tfds.builder(builder, data_dir=tfds_dir, file_format="array_record")
    made.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=folder)
    )
    return Path(made.data_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Prepare ImageNet as TFDS records.")
    parser.add_argument("--root", required=True, help="folder of the two archives")
    parser.add_argument("--tfds_dir", required=True, help="where to write")
    arguments = parser.parse_args()
    try:
        print(prepare(arguments.root, arguments.tfds_dir))
    except UserError as error:
        parser.exit(1, f"{error}\n")
