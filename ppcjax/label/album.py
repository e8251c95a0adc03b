"""The photos of a folder: a fixed list, their sizes, and small pictures of them.

Small pictures are made once and kept beside the labels. Nothing is written among the
photos themselves.
"""

import io
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppcjax.console import writing
from ppcjax.console.disk import CannotWrite
from ppcjax.data_pipelines import headers, images
from ppcjax.types import UserError

THUMBNAIL = 256  # pixels of the longer side
REDUCED = 2048  # the same of what the page shows at most
_SHARP = 12_000_000  # pixels of a photo above which a reduced one is kept, too
_QUALITY = 87


class Shown(NamedTuple):
    """A photo as the page gets it.

    content: bytes of a JPEG.
    size: (height, width) of it.
    full: (height, width) of the photo.
    """

    content: bytes
    size: tuple[int, int]
    full: tuple[int, int]


class Album:
    """The photos, in an order that stays while the server runs.

    ids: name of each photo, its path without suffix where that suffices.
    keys: path of each photo below the folder, with /.
    said: what was guessed of their bits, one line each.
    """

    def __init__(self, root: Path, files: Mapping[str, Path], kept: Path):
        """Lists photos.

        Args:
            root: their folder.
            files: file of each photo by its id, in the order of the page.
            kept: folder for small pictures.
        """
        self.root, self._kept = root, kept
        self._files = list(files.values())
        self._read, self.said = images.photo_reader(files)
        self.ids = list(files)
        self.keys = [_relative(file, root) for file in self._files]
        self._place = {key: i for i, key in enumerate(self.keys)}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.keys)

    def place(self, key: str) -> int:
        """The number of the photo with a path, or -1."""
        return self._place.get(key, -1)

    def file(self, i: int) -> Path:
        """The file of a photo."""
        return self._files[i]

    def is_there(self, i: int) -> bool:
        """Whether the file of a photo is still there."""
        return os.path.isfile(self._files[i])

    def size(self, i: int) -> tuple[int, int]:
        """(height, width) of a photo, upright. Raises: UserError, unreadable."""
        if i not in self._sizes:
            self._sizes[i] = headers.read_size(self._files[i])
        return self._sizes[i]

    def pixels(self, i: int, at_least: int = 0) -> np.ndarray:
        """[h, w, 3] uint8, upright.

        Args:
            i: number of the photo.
            at_least: pixels that its longer side keeps; 0: all.

        Raises:
            UserError: it cannot be read.
        """
        file = self._files[i]
        return self._read(file, str(file), at_least=at_least).pixels

    def shown(self, i: int, side: int) -> Shown:
        """A photo at no more than `side` pixels, as a JPEG.

        Args:
            i: number of the photo.
            side: largest longer side, pixels.

        Raises:
            UserError: it cannot be read.
        """
        full = self.size(i)
        size = reduced(full, side)
        is_kept = side <= THUMBNAIL or full[0] * full[1] > _SHARP
        file = self._kept / f"{side}" / f"{self.ids[i]}.jpg"
        if is_kept and _is_newer(file, self._files[i]):
            return Shown(file.read_bytes(), size, full)
        content = self._jpeg(i, size)
        if is_kept:
            self._keep(file, content)
        return Shown(content, size, full)

    def _jpeg(self, i: int, size: tuple[int, int]) -> bytes:
        photo = Image.fromarray(self.pixels(i, max(size)))
        if photo.size != size[::-1]:
            photo = photo.resize(size[::-1], Image.Resampling.BICUBIC, reducing_gap=3)
        content = io.BytesIO()
        photo.save(content, "JPEG", quality=_QUALITY)
        return content.getvalue()

    def _keep(self, file: Path, content: bytes) -> None:
        # One at a time: two that make the same one would meet on the way.
        with self._lock:
            try:
                writing.write_file(file, content)
            except CannotWrite:
                pass  # it is made again the next time


def reduced(full: tuple[int, int], side: int) -> tuple[int, int]:
    """The size of a photo of which the longer side has at most `side` pixels."""
    scale = side / max(full)
    if scale >= 1:
        return full
    height, width = (max(round(length * scale), 1) for length in full)
    return height, width


def open_album(root: Path, files: Mapping[str, Path], kept: Path) -> Album:
    """The photos of a folder that can be read at all.

    Args:
        root: their folder.
        files: file of each photo by its id.
        kept: folder for small pictures.

    Raises:
        UserError: there is none.
    """
    if not files:
        raise UserError(f"{root}: holds no photo; give a folder of photos")
    return Album(root, files, kept)


def _relative(file: Path, root: Path) -> str:
    return Path(os.path.relpath(file, root)).as_posix()


def _is_newer(file: Path, photo: Path) -> bool:
    """Whether a picture was made of the photo as it is."""
    try:
        return file.stat().st_mtime_ns >= photo.stat().st_mtime_ns
    except OSError:
        return False
