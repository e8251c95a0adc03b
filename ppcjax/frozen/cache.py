"""Features on disk, each under a name that says of which pixels they are.

A file holds the features of a view of a photo, beneath a digest of its bytes. It gets
its name when it is whole, so that a process that is killed leaves nothing that could be
read, and two that write the same view write the same bytes. Whatever else a file holds
is found out by its digest, and the features are computed anew.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax.console.writing import write_file
from ppcjax.errors import UserError

_LOG = logging.getLogger(__name__)
_DIGEST = 16  # bytes
_KEY = "network.json"
_SUFFIX = ".features"
_LEFT_OVER = 3600  # seconds after which a file without its name is nobody's
_SPARE = 1 << 30  # bytes that stay free on the disk
_FORMAT = 3  # 2 cut finer outputs of convolutional networks off
_SIZES = 12  # bytes of three sizes


def digest(content: bytes) -> bytes:
    """What tells contents apart; 16 bytes."""
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


class Cache:
    """The features of one network, as it is set up.

    Several processes may use a folder at once.
    """

    def __init__(self, root: Path, key: Mapping[str, Any], most: int):
        """Opens the folder of a network below `root`, or makes it.

        Args:
            root: folder of all networks.
            key: JSON types that decide what the features are.
            most: bytes that are kept at most; what is beyond is not kept.
        """
        said = _said(key)
        self.folder = root / digest(said).hex()
        self.most = most
        self.damaged = 0
        self._full = False
        try:
            self._open(said)
        except (UserError, OSError) as error:
            self._stop(f"cannot be kept ({error})")

    @classmethod
    def existing(cls, root: Path, key: Mapping[str, Any], most: int) -> "Cache | None":
        """The folder of a network where there is one; arguments as those above."""
        there = (root / digest(_said(key)).hex()).is_dir()
        return cls(root, key, most) if there else None

    def get(self, name: str) -> np.ndarray | None:
        """The features of that name; None where there are none, or damaged ones."""
        file = self._file(name)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        if content[:_DIGEST] == digest(content[_DIGEST:]):
            return _of_bytes(content[_DIGEST:])
        self.damaged += 1
        _LOG.warning("%s is damaged, and computed anew", file)
        with contextlib.suppress(OSError):
            file.unlink()
        return None

    def put(self, name: str, features: np.ndarray) -> None:
        """Keeps features, where there is room."""
        if self._full:
            return
        content = _as_bytes(features)
        whole = digest(content) + content
        if self._held + len(whole) > self.most:
            gib = self.most / 2**30
            self._stop(
                f"are kept up to {gib:.3g} GiB, which is reached: raise "
                "config.frozen.cache_gib"
            )
            return
        try:
            self._write(self._file(name), whole)
        except (UserError, OSError) as error:
            self._stop(f"cannot be kept ({error})")
        else:
            self._held += len(whole)

    def _open(self, said: bytes) -> None:
        self._held = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / _KEY
        if file.exists() and file.read_bytes() != said:
            shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            self._write(file, said)
        now = time.time()
        for folder in self.folder.iterdir():
            for entry in os.scandir(folder) if folder.is_dir() else ():
                with contextlib.suppress(OSError):  # another process may be faster
                    status = entry.stat()
                    if entry.name.endswith(_SUFFIX):
                        self._held += status.st_size
                    elif now - status.st_mtime > _LEFT_OVER:
                        os.unlink(entry)

    def _file(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}{_SUFFIX}"

    def _write(self, file: Path, content: bytes) -> None:
        if shutil.disk_usage(self.folder).free < len(content) + _SPARE:
            raise UserError("the disk has less than 1 GiB left")
        # Of this thread alone: two that write the same view must not meet on the way.
        own = file.with_name(f".{os.getpid()}-{threading.get_ident()}-{file.stem[:8]}")
        write_file(own, content)
        os.replace(own, file)

    def _stop(self, why: str) -> None:
        self._full = True
        _LOG.warning(
            "features of photos %s; further photos pass the network each time", why
        )


def _said(key: Mapping[str, Any]) -> bytes:
    """What decides the features, as bytes."""
    return json.dumps({"format": _FORMAT, **key}, sort_keys=True).encode()


def _as_bytes(features: np.ndarray) -> bytes:
    """Three sizes, then float16 values, row by row."""
    sizes = np.array(features.shape, "<i4").tobytes()
    return sizes + np.ascontiguousarray(features, "<f2").tobytes()


def _of_bytes(content: bytes) -> np.ndarray:
    """What `_as_bytes` wrote."""
    sizes = np.frombuffer(content[:_SIZES], "<i4")
    return np.frombuffer(content[_SIZES:], "<f2").reshape(sizes)
