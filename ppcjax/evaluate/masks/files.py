"""Files that predictions become: masks, scores, overlays. Each is written whole."""

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppcjax.checkout import program
from ppcjax.data_pipelines.formats import WRITERS, Exported, check_names
from ppcjax.data_pipelines.large import nearest
from ppcjax.data_pipelines.masks import read_mask
from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.masks import rows
from ppcjax.ops.affinity import combine_alphas
from ppcjax.predict.prediction import Prediction, predict_mask, uncertainty
from ppcjax.report.overlay import as_jpeg, draw_mask
from ppcjax.report.palette import voc_palette
from ppcjax.runs.ours import Folder
from ppcjax.types import UserError
from ppcjax.weights.readers.npz import read_arrays

# Folders that predictions are written to.
FOLDERS = ("masks", "overlays", "scores", "labels", "labels_low", "labels_high")


class Written(NamedTuple):
    """What one image came to.

    files: what was written, the mask last.
    row: what is told of it, see `rows.row`.
    """

    files: list[Path]
    row: dict[str, Any]


def write_prediction(
    prediction: Prediction,
    folder: Folder,
    *,
    threshold: float,
    background: bool = True,
    scores: bool = True,
) -> Written:
    """Writes what one image yields into a folder.

    masks/ID.png: palette PNG of class ids, as large as the photo.
    scores/ID.npz: see `scores_bytes`; left out unless `scores`. Of a photo that was
        reduced (`full_size`), they and the overlay have the reduced size.
    overlays/ID.jpg: the mask over the photo.
    labels/ID.png, labels_low, labels_high: where the prediction has labels.

    Args:
        prediction: scores and their image.
        folder: where to.
        threshold: score above which a pixel is foreground.
        background: whether class 0 is one, which overlays leave clear.
        scores: whether score arrays are kept, by far the largest files.
    """
    name, image = prediction.example.id, prediction.example.image
    mask = predict_mask(prediction.scores, threshold)
    size = prediction.example.full_size or mask.shape
    overlay = as_jpeg(draw_mask(image, mask, background=background))
    written = [folder.write(f"overlays/{name}.jpg", overlay)]
    if scores:
        content = scores_bytes(prediction.scores, prediction.tags)
        written.append(folder.write(f"scores/{name}.npz", content))
    masks = {"masks": nearest(mask, size)}
    if prediction.labels is not None:
        low, high = (nearest(labels, size) for labels in prediction.labels)
        both = combine_alphas(low, high)
        masks = {"labels_low": low, "labels_high": high, "labels": both} | masks
    for kind, ids in masks.items():
        written.append(folder.write(f"{kind}/{name}.png", mask_bytes(ids)))
    unsure = uncertainty(prediction.scores, threshold)
    return Written(written, rows.row(prediction, mask, uncertainty=unsure))


def mask_bytes(mask: np.ndarray) -> bytes:
    """Class ids [H, W] uint8 as a PNG file in the VOC palette."""
    image = Image.fromarray(np.asarray(mask, np.uint8))
    image.putpalette(_palette())
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


@functools.cache
def _palette() -> bytes:
    """The palette of all masks; making it takes longer than writing a small one."""
    return voc_palette().tobytes()


def format_writer(
    names: Sequence[str], source: Source, classes: Sequence[str], background: bool
) -> Callable[[Folder], None]:
    """What writes the masks of an export in formats of other tools.

    Args:
        names: keys of `formats.WRITERS`; each format gets a folder of its name.
        source: the photos, of which those with a mask in the export are written.
        classes: names by class id.
        background: whether class 0 is one.

    Returns:
        (folder) -> the formats are written into it from the masks/ that it holds.

    Raises:
        UserError: a class has a name that a format cannot hold.
    """
    ids = {i: name for i, name in enumerate(classes) if i or not background}
    for name in names:
        check_names(name, ids)

    def write(folder: Folder) -> None:
        photos = []
        for key in source.ids if names else ():
            file = folder.file(f"masks/{key}.png")
            if key not in source.skipped and file.is_file():
                mask = functools.partial(
                    read_mask, file, str(file), num_classes=len(classes)
                )
                photos.append(Exported(key, _photo_name(key, source.files), mask))
        for name in dict.fromkeys(names):
            for path, content in WRITERS[name](photos, ids):
                folder.write(f"{name}/{path}", content)

    return write


def _photo_name(key: str, files: Mapping[str, Path]) -> str:
    """The path of a photo below its folder; without a file, a JPEG is assumed."""
    suffix = files[key].suffix if key in files else ".jpg"
    return key if key.lower().endswith(suffix.lower()) else f"{key}{suffix}"


def scores_bytes(scores: np.ndarray, tags: np.ndarray) -> bytes:
    """The score maps of the classes that an image shows, as an .npz file.

    The file holds "classes" [K] int64, the ids, and "scores" [K, H, W] float16 in
    [0, 1]; scores below 0, which no threshold looks at, become 0.

    Args:
        scores: [H, W, C] float32.
        tags: [C] bool; the background is not written.
    """
    classes = np.flatnonzero(np.asarray(tags)[1:]) + 1
    maps = np.moveaxis(scores[..., classes], -1, 0)
    content = io.BytesIO()
    np.savez_compressed(
        content, classes=classes, scores=np.maximum(maps, 0).astype(np.float16)
    )
    return content.getvalue()


def read_scores(
    folder: Path, name: str, *, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `scores_bytes` holds for an image of an export.

    Args:
        folder: export that holds scores/.
        name: id of the image.
        num_classes: C, background included.

    Returns:
        Class ids [K] int64 and scores [K, H, W] float32 in [0, 1].

    Raises:
        UserError: the file is not there, is damaged, or holds something else.
    """
    file = folder / "scores" / f"{name}.npz"
    try:
        content = read_arrays(file)
        classes, scores = content["classes"], content["scores"].astype(np.float32)
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is not there: export the scores of all images to be evaluated "
            f"first, with {program('eval')} --export"
        ) from error
    except (ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}); export it again") from error
    fits = scores.ndim == 3 and all(scores.shape[1:])
    fits = fits and classes.shape == scores.shape[:1]
    if not fits or not np.isfinite(scores).all():
        raise UserError(
            f"{file}: scores {list(scores.shape)} of classes {list(classes.shape)}; "
            "give finite [K, H, W] of [K]"
        )
    if not set(classes.tolist()) <= set(range(1, num_classes)):
        raise UserError(
            f"{file} holds classes {classes.tolist()}; the run has 1 to "
            f"{num_classes - 1}"
        )
    return classes, scores


def class_list(classes: Sequence[str]) -> bytes:
    """Content of classes.txt: class names, one per line; the first line is class 0."""
    return "".join(f"{name}\n" for name in classes).encode()
