"""Who holds a folder: a process, as it wrote itself down, and whether it lives."""

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """The process that holds a folder, as it wrote itself down.

    pid: number of the process.
    host: name of its machine.
    boot: which start of the system it belongs to; "" where that is not known.
    begun: when the process began, in the clock of its system; "" where not known.
    since: when it took the folder, for people.
    """

    pid: int
    host: str
    boot: str
    begun: str
    since: str

    def text(self) -> str:
        """Who that is, in a few words."""
        return f"process {self.pid} on {self.host} since {self.since}"


def me() -> Holder:
    """This process."""
    return of(os.getpid())


def of(pid: int) -> Holder:
    """A process of this system, which lives."""
    now = datetime.now().isoformat(sep=" ", timespec="seconds")
    return Holder(pid, socket.gethostname(), _boot(), _begun(pid), now)


def lives(holder: Holder, is_locked: bool) -> bool | None:
    """Whether who wrote itself down lives; None where that cannot be known from here.

    Args:
        holder: who did.
        is_locked: whether the kernel has given its lock to this process.
    """
    mine = me()
    if holder[:4] == mine[:4]:
        return False  # this very process, which would hold the lock if it did
    same_host = holder.host == mine.host
    same_system = holder.boot == mine.boot and bool(mine.boot or same_host)
    if is_locked and same_system:
        return False
    # Containers of one system have processes of their own; locks may end at the host.
    return _is_alive(holder) if same_host and same_system else None


def _is_alive(holder: Holder) -> bool:
    """Whether a process of this system lives and is the one that is meant."""
    if os.name == "nt":
        return True  # a signal 0 would end it there; the sign of life tells
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    stat = _stat(holder.pid)
    if stat is None:
        return True
    # One that is dead has a number until its parent has heard of it.
    return stat[0] not in "ZX" and holder.begun in ("", stat[19])


def _boot() -> str:
    """Which start of which system this is; "" where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _begun(pid: int) -> str:
    """When a process began, in ticks of its system; "" where it does not say."""
    return (_stat(pid) or [""] * 20)[19]


def _stat(pid: int) -> list[str] | None:
    """What the system says of a process, from its state on; None for nothing."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return found if len(found) >= 20 else None
