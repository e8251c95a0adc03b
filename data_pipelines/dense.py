"""Training batches with geometric augmentation, as tf.data on the host CPU.

Per image, as in the published recipe: long side drawn uniformly from a range of whole
pixels, antialiased bicubic resize (Pillow's, a = -0.5), flip, crop; along an axis
shorter than the crop the image is pasted at a random offset. Only the pixels of the
crop are resized. Colour belongs to the device.

A batch is a pure function of (seed, step), so the step number is all it takes to
resume, and of nothing else: not of the number of processes, threads or devices.
"""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from data_pipelines import settings
from data_pipelines.images import Photo
from data_pipelines.order import Draws, image_at
from data_pipelines.sources.base import Record, Source, read_checked, read_tags
from ppcjax.types import IGNORE, DenseBatch, UserError

_LOG = logging.getLogger(__name__)
_FOREVER = np.iinfo(np.int64).max


class Window(NamedTuple):
    """Where the crop lies: source pixels, canvas pixels, mirror.

    height, width: size of the whole resized image.
    y, x: top left of the crop in the resized (unmirrored) image.
    top, left: where that point goes on the canvas.
    rows, columns: size of what is copied.
    flip: whether the copied part is mirrored left to right.
    """

    height: int
    width: int
    y: int
    x: int
    top: int
    left: int
    rows: int
    columns: int
    flip: bool


def draw_window(
    height: int, width: int, draws: Draws, *, crop: int, long_side: tuple[int, int]
) -> Window:
    """Draws resize, flip and crop of an image of the given size in pixels."""
    long = draws.integer(*long_side)
    flip = draws.integer(0, 1) == 1
    longest = max(height, width)
    # Halves round up; in whole numbers, so that every machine agrees.
    new_height, new_width = (
        max((2 * side * long + longest) // (2 * longest), 1) for side in (height, width)
    )
    y, top, rows = _place(new_height, crop, draws)
    x, left, columns = _place(new_width, crop, draws)
    return Window(new_height, new_width, y, x, top, left, rows, columns, flip)


def _place(size: int, crop: int, draws: Draws) -> tuple[int, int, int]:
    """Offset in the image, offset in the canvas, length; along one axis."""
    offset = draws.integer(0, abs(size - crop))
    return (offset, 0, crop) if size > crop else (0, offset, size)


def cut_image(pixels: np.ndarray, window: Window, crop: int) -> np.ndarray:
    """[crop, crop, 3] uint8 canvas with the window of an [h, w, 3] image; else 0."""
    height, width = pixels.shape[:2]
    scale_y, scale_x = height / window.height, width / window.width
    box = (
        window.x * scale_x,
        window.y * scale_y,
        min((window.x + window.columns) * scale_x, width),
        min((window.y + window.rows) * scale_y, height),
    )
    part = np.asarray(
        Image.fromarray(pixels).resize(
            (window.columns, window.rows), Image.Resampling.BICUBIC, box
        )
    )
    return _paste(part, window, np.zeros((crop, crop, 3), np.uint8))


def cut_mask(mask: np.ndarray, window: Window, crop: int) -> np.ndarray:
    """[crop, crop] int32 canvas with the window of an [H, W] mask; else IGNORE."""
    rows = _nearest(mask.shape[0], window.height, window.y, window.rows)
    columns = _nearest(mask.shape[1], window.width, window.x, window.columns)
    part = mask[rows[:, None], columns[None, :]]
    return _paste(part, window, np.full((crop, crop), IGNORE, np.int32))


def _nearest(size: int, new_size: int, start: int, count: int) -> np.ndarray:
    """Source index under the centre of each of `count` resized pixels."""
    centres = 2 * np.arange(start, start + count, dtype=np.int64) + 1
    return centres * size // (2 * new_size)


def _paste(part: np.ndarray, window: Window, canvas: np.ndarray) -> np.ndarray:
    bottom, right = window.top + window.rows, window.left + window.columns
    canvas[window.top : bottom, window.left : right] = (
        part[:, ::-1] if window.flip else part
    )
    return canvas


def make_train(
    data: Any,
    source: Source,
    *,
    seed: int,
    batch_size: int | None = None,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[DenseBatch]:
    """Endless training batches from config.data.

    Args:
        data: config.data; the settings of the stream are those of `train_stream`.
        source: what make_source made.
        seed: of the run.
        batch_size: images in a global batch; None = config.data.batch_size.
        start_step: number of the first batch.
        process_index: which share of the rows of every global batch to yield.
        process_count: number of equal shares.

    Returns:
        An iterator over batches of NumPy arrays with this process's rows.

    Raises:
        UserError: a setting is wrong, or an image is (possibly while iterating).
    """
    stream = {k: v for k, v in settings.fields(data).items() if k in settings.STREAM}
    if batch_size is not None:
        stream["batch_size"] = batch_size
    return settings.call(
        train_stream,
        stream,
        where="training",
        source=source,
        seed=seed,
        start_step=start_step,
        process_index=process_index,
        process_count=process_count,
    )


def train_stream(
    *,
    source: Source,
    seed: int,
    batch_size: int,
    crop: int,
    long_side: tuple[int, int],
    on_bad_image: str = "stop",
    with_masks: bool = False,
    workers: int = 0,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[DenseBatch]:
    """Endless training batches; the arguments that make_train has mean the same.

    Args:
        source: the images.
        seed: of the run.
        batch_size: images in a global batch; a multiple of process_count.
        crop: side of the square canvas, pixels.
        long_side: range of the longer side after resizing, pixels, both included.
        on_bad_image: "stop" raises; "skip" takes the next image of the epoch's order
            and notes the reason in source.skipped.
        with_masks: whether batches hold "mask"; every image must then have one.
        workers: images prepared at a time; 0 lets tf.data choose.
        start_step: number of the first batch.
        process_index: which rows to yield.
        process_count: number of equal shares of the rows.
    """
    settings.whole_number("batch_size", batch_size, least=1)
    settings.whole_number("crop", crop, least=1)
    settings.whole_number("workers", workers, least=0)
    settings.one_of("on_bad_image", on_bad_image, ("stop", "skip"))
    if len(long_side) != 2 or not 1 <= long_side[0] <= long_side[1]:
        raise UserError(
            f"config.data.long_side is {tuple(long_side)}; give (lowest, highest) pixels"
        )
    if batch_size % process_count:
        raise UserError(
            f"config.data.batch_size={batch_size} is not a multiple of the "
            f"{process_count} processes; change one of them"
        )
    if source.untagged and on_bad_image == "stop":
        raise UserError(source.untagged[min(source.untagged)])
    loader = _Loader(
        source=source,
        seed=seed,
        crop=crop,
        long_side=tuple(long_side),
        skip=on_bad_image == "skip",
        with_masks=with_masks,
    )
    rows = batch_size // process_count
    first = process_index * rows

    def position(count):
        return count // rows * batch_size + first + count % rows

    return _iterate(loader, position, rows, start_step, workers)


class _Loader:
    """position -> one augmented example; keeps the error that stopped it."""

    def __init__(self, *, source, seed, crop, long_side, skip, with_masks):
        self.source = source
        self.seed = seed
        self.crop = crop
        self.long_side = long_side
        self.skip = skip
        self.with_masks = with_masks
        self.error: UserError | None = None
        self.unusable: set[int] = set()

    def __call__(self, position: int):
        """image, valid, tags and, if asked for, mask at a position of the stream."""
        try:
            return self._load(int(position))
        except UserError as error:
            self.error = error
            raise

    def _load(self, position: int):
        for attempt in range(len(self.source)):
            index = image_at(self.seed, position, len(self.source), attempt)
            if index in self.unusable:
                continue
            try:
                return self._augment(index, Draws(self.seed, position))
            except UserError as error:
                if not self.skip:
                    raise
                self._leave_out(index, str(error))
        raise UserError(
            f"{self.source.name}: none of the {len(self.source)} images can be used; the "
            f"last was left out because: {next(reversed(self.source.skipped.values()))}"
        )

    def _leave_out(self, index: int, reason: str):
        self.unusable.add(index)
        if self.source.skipped.setdefault(self.source.ids[index], reason) is reason:
            _LOG.warning("left out (%d so far) %s", len(self.source.skipped), reason)

    def _augment(self, index: int, draws: Draws):
        tags = read_tags(self.source, index)
        record = self.source.record(index)
        photo: Photo = record.photo(self.long_side[1])
        window = draw_window(
            photo.height, photo.width, draws, crop=self.crop, long_side=self.long_side
        )
        bottom, right = window.top + window.rows, window.left + window.columns
        valid = np.array([window.top, window.left, bottom, right], np.int32)
        example = (cut_image(photo.pixels, window, self.crop), valid, tags)
        if self.with_masks:
            mask = self._mask(record, photo)
            example += (cut_mask(mask, window, self.crop),)
        return example

    def _mask(self, record: Record, photo: Photo) -> np.ndarray:
        mask = read_checked(record, photo)
        if mask is None:
            raise UserError(
                f"{self.source.name}: image {record.id!r} has no mask; add one, or set "
                "config.data.with_masks=False"
            )
        return mask


def _iterate(loader, position, rows, start_step, workers) -> Iterator[DenseBatch]:
    import tensorflow as tf  # takes seconds, and only training needs it

    tf.config.set_visible_devices([], "GPU")  # the accelerator belongs to JAX
    crop, classes = loader.crop, len(loader.source.classes)
    layout = {
        "image": ((crop, crop, 3), tf.uint8),
        "valid": ((4,), tf.int32),
        "tags": ((classes,), tf.float32),
    }
    if loader.with_masks:
        layout["mask"] = ((crop, crop), tf.int32)

    def load(count):
        types = [dtype for _, dtype in layout.values()]
        arrays = tf.numpy_function(loader, [position(count)], types, stateful=False)
        for array, (shape, _) in zip(arrays, layout.values(), strict=True):
            array.set_shape(shape)
        return dict(zip(layout, arrays, strict=True))

    dataset = (
        tf.data.Dataset.range(start_step * rows, _FOREVER)
        .map(load, num_parallel_calls=workers or tf.data.AUTOTUNE, deterministic=True)
        .batch(rows, drop_remainder=True)
        .prefetch(2)
    )
    return _as_numpy(dataset, loader, tf.errors.OpError)


def _as_numpy(dataset, loader, failure) -> Iterator[DenseBatch]:
    try:
        yield from dataset.as_numpy_iterator()
    except failure as error:
        if loader.error is None:
            raise
        raise loader.error from error
