"""Records that a TFDS builder prepared: sharded, read at random."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ppcjax import checkout
from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.masks import read_mask
from ppcjax.data_pipelines.sources.base import Record, Source
from ppcjax.data_pipelines.sources.tags import encode
from ppcjax.types import UserError

SURVEYED = 200  # opening a record reads the photo in it
_VOC_ADVICE = (
    "make it with python -m ppcjax.data_pipelines.voc_builder --root VOC2012 "
    "--tfds_dir DIR"
)


def prepared(
    split: str, *, tfds_dir: str, classes: tuple[str, ...], void: tuple[int, ...]
) -> Source:
    """A split of VOC in the array_record format, as voc_builder prepares it.

    Args:
        split: a split of the prepared set.
        tfds_dir: folder with dataset_info.json, or one that holds the data set.
        classes: names, background first.
        void: mask ids that mean IGNORE, besides 255.
    """
    records, metadata = _open(split, tfds_dir, _VOC_ADVICE, ("image", "mask"))
    lists = metadata.get("ids", {})
    if split not in lists:
        raise UserError(
            f"{tfds_dir}: no split {split!r} made by voc_builder; "
            f"there are {', '.join(lists) or 'none'}"
        )
    ids = tuple(lists[split])

    def record(index):
        fields = records[index]
        key = ids[index]

        def photo(at_least=0):
            return images.read_photo(fields["image"], key, at_least=at_least)

        def tags():
            names = tuple(name.decode() for name in fields["tags"])
            return encode(names, classes, f"{tfds_dir}: image {key!r}")

        def mask():
            name = f"mask of {key}"
            return read_mask(fields["mask"], name, num_classes=len(classes), void=void)

        return Record(key, photo, tags, mask)

    return Source(
        f"{tfds_dir} (split {split})",
        classes,
        ids,
        record,
        tags_by="file",
        surveyed=SURVEYED,
    )


def open_records(
    split: str, tfds_dir: str, advice: str, *, encoded: tuple[str, ...]
) -> Sequence[Mapping[str, Any]]:
    """The records of a split.

    Args:
        split: name of a split of the prepared set.
        tfds_dir: folder with dataset_info.json, or one that holds the data set.
        advice: what to do where there is none.
        encoded: features that stay bytes.

    Raises:
        UserError: no prepared set, no such split, or no random access.
    """
    return _open(split, tfds_dir, advice, encoded)[0]


def _open(split: str, tfds_dir: str, advice: str, encoded: tuple[str, ...]):
    """Records of a split, and the metadata of the whole set."""
    checkout.require(f"{tfds_dir}: reading records", "tensorflow_datasets")
    with checkout.keras_elsewhere():
        import tensorflow_datasets as tfds  # takes seconds; only these sources need it

    builder = tfds.builder_from_directory(str(_find(tfds_dir, advice)))
    if split not in builder.info.splits:
        raise UserError(
            f"{tfds_dir}: no split {split!r}; there are "
            f"{', '.join(builder.info.splits) or 'none'}"
        )
    missing = [name for name in encoded if name not in builder.info.features]
    if missing:
        raise UserError(
            f"{tfds_dir}: its records have no feature {missing[0]!r}; {advice}"
        )
    as_bytes = {name: tfds.decode.SkipDecoding() for name in encoded}
    try:
        records = builder.as_data_source(split, decoders=as_bytes)
    except NotImplementedError as error:
        raise UserError(
            f"{tfds_dir}: records of this format cannot be read at random; prepare "
            "them again with --file_format=array_record"
        ) from error
    return records, builder.info.metadata or {}


def _find(tfds_dir: str, advice: str) -> Path:
    root = Path(tfds_dir).expanduser()
    places = ("", "*/", "*/*/")
    found = [f for p in places for f in sorted(root.glob(f"{p}dataset_info.json"))]
    found = [file.parent for file in found if "incomplete" not in file.parent.name]
    if not found:
        raise UserError(
            f"config.data.tfds_dir={tfds_dir}: holds no prepared data set; {advice}"
        )
    return found[-1]
