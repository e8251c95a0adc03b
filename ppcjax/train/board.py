"""Values of a run as TensorBoard reads them.

The writer of tensorboardX writes in a thread of its own. Where that finds no room it
ends with a traceback, the values after it are lost, and the run may wait for ever. Here
the same records are written at once, some hundred bytes a log line.
"""

import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppcjax.console.writing import Appending

_VERSION = "brain.Event:2"  # what every file begins with


class Board:
    """Writes for one process of a run into a new file."""

    def __init__(self, folder: Path, step: int):
        """Begins a file.

        Args:
            folder: that of all files of the run; made where it is not there.
            step: updates made before; later values of earlier processes do not count.

        Raises:
            CannotWrite: the disk refuses.
        """
        # They take 0.6 s, which evaluation does not need.
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import masked_crc32c
        from tensorboardX.summary import scalar

        self._event, self._scalar, self._sum = Event, scalar, masked_crc32c
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self._file = Appending(folder / name, folder=True)
        begins = SessionLog(status=SessionLog.START)
        self._file.write(
            self._record(file_version=_VERSION)
            + self._record(step=step + 1, session_log=begins)
        )

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values after update `step`. Raises: CannotWrite."""
        self._file.write(
            b"".join(
                self._record(step=step, summary=self._scalar(name, value))
                for name, value in values.items()
            )
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _record(self, **fields: Any) -> bytes:
        content = self._event(wall_time=time.time(), **fields).SerializeToString()
        head = struct.pack("<Q", len(content))
        sums = (struct.pack("<I", self._sum(part)) for part in (head, content))
        return head + next(sums) + content + next(sums)
