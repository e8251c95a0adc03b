"""Connections among the processes of a run, which show when one of them ends.

Process 0 holds a connection to each of the others. All give a sign of life every few
seconds, and the last word of one that ends is passed on.
"""

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ppcjax.console import ending

BEAT = 3.0  # seconds between two signs of life
SILENCE = 30.0  # seconds without one after which a process counts as lost
MANNERS = 20.0  # seconds that a process has to end after its last word
_LONGEST = 65536  # bytes of a line
_SHOWN = 1000  # characters of what another process says


class Who(NamedTuple):
    """A process of the run.

    index: its number among them.
    pid: its number on its machine.
    host: name of its machine.
    """

    index: int
    pid: int
    host: str

    def text(self) -> str:
        """Which process that is."""
        return f"process {self.index} (pid {self.pid} on {self.host})"


class Link:
    """The connection to another process."""

    def __init__(self, connection: socket.socket, who: Who | None):
        """Takes a connection that is open.

        Args:
            connection: does not block.
            who: the other process; None until it has said so.
        """
        self.connection = connection
        self.who = who
        self.word: str | None = None  # the last one, of a process that ends
        self.is_done = False
        self.heard = time.monotonic()
        self._rest = b""

    def send(self, content: Any) -> None:
        """Sends JSON types; a connection that is gone is found by `receive`."""
        line = json.dumps(content).encode() + b"\n"
        with contextlib.suppress(OSError):
            self.connection.setblocking(True)
            self.connection.settimeout(1.0)
            self.connection.sendall(line)
        with contextlib.suppress(OSError):
            self.connection.setblocking(False)

    def receive(self) -> list[dict[str, Any]] | None:
        """What has come; None where the other end is closed."""
        try:
            data = self.connection.recv(_LONGEST)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.heard = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LONGEST:]
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                content = json.loads(line)
                if isinstance(content, dict):
                    found.append(content)
        return found


class Peers:
    """Watches the other processes in a thread, until `close`."""

    def __init__(self, me: Who, token: str, lost: Callable[[str], None]):
        """Watches nobody yet.

        Args:
            me: this process.
            token: what the processes of this run know, and others do not.
            lost: takes the line that says which process is lost.
        """
        self.me = me
        self.code: int | None = None  # exit code, once this process is to end
        self.token = token
        self._lost = lost
        self._links: list[Link] = []
        self._stood = 0.0  # seconds for which this process did not run
        self._selector = selectors.DefaultSelector()
        self._closed = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._watch, name="peers", daemon=True)

    def listen(self) -> int:
        """Begins to take connections; returns the port."""
        place = ("", 0)
        if socket.has_dualstack_ipv6():
            listener = socket.create_server(
                place, family=socket.AF_INET6, dualstack_ipv6=True
            )
        else:
            listener = socket.create_server(place)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._thread.start()
        return listener.getsockname()[1]

    def connect(self, host: str, port: int, first: Who) -> None:
        """Connects to process 0; raises OSError where it cannot be reached."""
        connection = socket.create_connection((host, port), timeout=15.0)
        link = self._add(connection, first)
        link.send({"who": self.me, "token": self.token})
        self._thread.start()

    def leave(self, word: str, code: int) -> None:
        """Tells the others that this process ends, and why; nobody is watched any more.

        Args:
            word: its last word.
            code: its exit code.
        """
        with self._lock:
            if self.code is not None:
                return
            self.code = code
            self._say({"ending": word[:_SHOWN]})
        # Closing may wait for a process that is gone.
        line = word if code > 128 else f"error: {word}"
        timer = threading.Timer(MANNERS, ending.at_once, (line, code))
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Tells the others that all is done here."""
        with self._lock:
            if self.code is None:
                self._say({"done": True})
            self._closed.set()

    def _say(self, content: Any) -> None:
        for link in self._links:
            link.send(content)

    def _add(self, connection: socket.socket, who: Who | None) -> Link:
        connection.setblocking(False)
        link = Link(connection, who)
        with self._lock:
            self._links.append(link)
        self._selector.register(connection, selectors.EVENT_READ, link)
        return link

    def _drop(self, link: Link) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(link.connection)
        link.connection.close()
        with self._lock:
            self._links.remove(link)

    def _watch(self) -> None:
        beaten = looked = time.monotonic()
        while not self._closed.is_set():
            ready = self._selector.select(timeout=min(1.0, BEAT))
            now = time.monotonic()
            self._stood = max(self._stood, now - looked)
            looked = now
            for key, _ in ready:
                if key.data is None:
                    with contextlib.suppress(OSError):
                        self._add(key.fileobj.accept()[0], None)
                else:
                    self._hear(key.data)
            if now - beaten >= BEAT:
                beaten = now
                with self._lock:
                    self._say({})
            for link in [x for x in self._links if now - x.heard > SILENCE]:
                self._gone(
                    link,
                    f"no sign of life for {SILENCE:.0f} s, so it is stopped or its "
                    "network is down",
                )

    def _hear(self, link: Link) -> None:
        contents = link.receive()
        for content in contents or ():
            if "who" in content and content.get("token") == self.token:
                with contextlib.suppress(TypeError, ValueError):
                    index, pid, host = content["who"]
                    link.who = Who(int(index), int(pid), _plain(host))
            if link.who is None:
                continue  # a stranger
            if "lost" in content:
                self._lost(_plain(content["lost"]))
            if "ending" in content:
                link.word = _plain(content["ending"])
            link.is_done |= "done" in content
        if contents is None:
            self._gone(
                link, "killed (by the system for want of memory, or by hand) or crashed"
            )

    def _gone(self, link: Link, how: str) -> None:
        """Ends this process, too, where another one has ended that was needed."""
        with self._lock:
            self._drop(link)
            if link.who is None or link.is_done or self.code is not None:
                return
            if self._closed.is_set():
                return
            if self._stood > SILENCE:
                line = (
                    f"this process stood still for {self._stood:.0f} s, stopped or "
                    "suspended, and the others have ended"
                )
            elif link.word is None:
                line = f"{link.who.text()} was lost: {how}"
            else:
                line = f"{link.who.text()} ended: {link.word or 'without a word'}"
            self._say({"lost": line})
        self._lost(line)


def _plain(word: Any) -> str:
    """Text of another process as one line that is safe for a terminal."""
    kept = (x if x.isprintable() else " " for x in str(word)[:_SHOWN])
    return " ".join("".join(kept).split())
