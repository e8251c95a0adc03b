"""Sources of images: make_source builds the one that a config names."""

from typing import Any

from ppcjax.data_pipelines import settings
from ppcjax.data_pipelines.sources.base import Record, Source, replace_masks
from ppcjax.data_pipelines.sources.cityscapes import cityscapes
from ppcjax.data_pipelines.sources.embedded import shapes
from ppcjax.data_pipelines.sources.folder import folder
from ppcjax.data_pipelines.sources.photos import few
from ppcjax.data_pipelines.sources.unlabelled import imagenet, photos
from ppcjax.data_pipelines.sources.voc import voc

from ppcjax.types import UserError

__all__ = ["SOURCES", "Record", "Source", "make_source"]

SOURCES = {
    "cityscapes": cityscapes,
    "folder": folder,
    "imagenet": imagenet,
    "photos": photos,
    "shapes": shapes,
    "voc": voc,
}


def make_source(
    data: Any,
    split: str,
    *,
    classes: tuple[str, ...] | None = None,
    evaluation: bool = False,
) -> Source:
    """A split of the data set that config.data describes.

    Args:
        data: config.data; its field `source` names an entry of SOURCES, whose keyword
            arguments are the other fields, apart from those of the streams, `masks`
            and `eval_masks`, folders of masks that replace the source's own, and
            `limit` and `limit_seed`: of the split `train_split`, how many images are
            learnt from (0: all) and which; with `with_masks`, of those with a mask.
        split: name of the split.
        classes: names that a checkpoint was trained with, background first; the source
            must have these. None = whatever the data has.
        evaluation: whether masks are to be compared with, not learnt from: then
            `eval_masks` count, which are rarely those that a segmenter learns from.

    Raises:
        UserError: a setting is wrong, or the data is missing or malformed.
    """
    fields = settings.fields(data)
    name = settings.one_of("source", fields.pop("source", None), tuple(SOURCES))
    folders = {use: fields.pop(use, "") for use in ("masks", "eval_masks")}
    masks = "eval_masks" if evaluation else "masks"
    # Replacing masks hold class ids; void ids of other numbers are none of theirs.
    void = () if fields.get("label_ids") else tuple(fields.get("void", ()))
    limit = settings.whole_number("limit", fields.pop("limit", 0), least=0)
    limit_seed = fields.pop("limit_seed", 0)
    chosen = {k: v for k, v in fields.items() if k not in settings.STREAM_AND_SPLITS}
    extra = {"split": split}
    if name == "folder":
        extra["tagged"] = settings.kind(fields) != "views"
        if classes:
            has_background = fields.get("background", True)
            chosen["classes"] = tuple(classes[1:] if has_background else classes)
    source = settings.call(SOURCES[name], chosen, where=f"source {name}", **extra)
    if classes and tuple(classes) != source.classes:
        raise UserError(
            f"{source.name}: has the classes {', '.join(source.classes)}, but the "
            f"checkpoint was trained with {', '.join(classes)}; use its own data"
        )
    if folders[masks]:
        source = replace_masks(source, folders[masks], void, setting=masks)
    if limit and split == fields.get("train_split") and not evaluation:
        settings.whole_number("limit_seed", limit_seed, least=0)
        masked = bool(fields.get("with_masks"))
        source = few(source, limit, seed=limit_seed, masked=masked)
    return source
