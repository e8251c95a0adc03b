"""What the network sees of photos: computed once, kept, and for a while in memory."""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.label.album import Album
from ppcjax.predict.canvases import canvas_size, scaled_side
from ppcjax.predict.queries import query_stride
from ppcjax.runs import Run

_HELD = 256 << 20  # bytes of looks that stay in memory


class Look(NamedTuple):
    """A photo as the network reads it.

    seen: [h, w, D] float16 features, or [h, w, 3] uint8 where nothing is frozen.
    size: (height, width) of the photo on its canvas, pixels.
    """

    seen: np.ndarray
    size: tuple[int, int]


class Looks:
    """The looks of an album's photos; one thread asks, others may count.

    size: longer side of photos in the network, pixels.
    side: side of the square canvas that holds any of them.
    stride: pixels per cell of the logits.
    """

    def __init__(self, run: Run, album: Album):
        """Of an album through the network of a run."""
        self._run, self._album = run, album
        self.size = run.config["data"]["crop"]
        self.side = canvas_size(self.size)
        self.stride = query_stride(run)
        self._held: OrderedDict[int, Look] = OrderedDict()
        self._bytes = 0
        self._done: set[int] = set()
        self._lock = threading.Lock()

    @property
    def done(self) -> int:
        """How many photos were looked at."""
        with self._lock:
            return len(self._done)

    def is_done(self, i: int) -> bool:
        """Whether a photo was looked at."""
        with self._lock:
            return i in self._done

    def forget(self, i: int) -> None:
        """Does not hold a photo any more, which may have become another."""
        with self._lock:
            look = self._held.pop(i, None)
            self._bytes -= look.seen.nbytes if look else 0

    def __call__(self, i: int) -> Look:
        """The look of a photo. Raises: UserError, it cannot be read."""
        with self._lock:
            if i in self._held:
                self._held.move_to_end(i)
                return self._held[i]
        look = self._look(i)
        with self._lock:
            self._done.add(i)
            self._held[i] = look
            self._bytes += look.seen.nbytes
            while self._bytes > _HELD and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].seen.nbytes
        return look

    def _look(self, i: int) -> Look:
        pixels = self._album.pixels(i, self.size)
        sides = self.small(i)[::-1]
        photo = Image.fromarray(pixels).resize(sides, Image.Resampling.BICUBIC)
        small = np.asarray(photo)
        if self._run.method.look is None:
            return Look(small, small.shape[:2])
        height, width = small.shape[:2]
        canvas = np.zeros((1, 1, canvas_size(height), canvas_size(width), 3), np.uint8)
        canvas[0, 0, :height, :width] = small
        valid = np.array([[[0, 0, height, width]]], np.int32)
        found = self._run.method.look({"query_image": canvas, "query_valid": valid})
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        seen = np.asarray(found["query_image"])[0, 0, :rows, :columns]
        return Look(np.ascontiguousarray(seen), (height, width))

    def small(self, i: int) -> tuple[int, int]:
        """(height, width) of a photo in the network. Raises: UserError, unreadable."""
        full = self._album.size(i)
        height, width = (scaled_side(n, self.size / max(full)) for n in full)
        return height, width

    def placed(self, look: Look) -> np.ndarray:
        """What is seen, on the square canvas that all photos share."""
        frozen = self._run.method.look is not None
        side = -(-self.side // self.stride) if frozen else self.side
        out = np.zeros((side, side, look.seen.shape[-1]), look.seen.dtype)
        out[: look.seen.shape[0], : look.seen.shape[1]] = look.seen
        return out

    def valid(self, look: Look) -> np.ndarray:
        """[4] int32, where the photo lies on that canvas."""
        return np.array([0, 0, *look.size], np.int32)
