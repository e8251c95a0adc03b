"""The server: one process, one folder, one address on this machine."""

import contextlib
import errno
import secrets
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from ppcjax.console import screen, writing
from ppcjax.label import composing
from ppcjax.label.album import open_album
from ppcjax.label.app import App
from ppcjax.label.found import Found
from ppcjax.label.lessons import DEFAULTS, Lessons
from ppcjax.label.session import JOURNAL, Session
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from ppcjax.runs import Run, lock
from ppcjax.runs.there import check_folder, names_in, not_ours
from ppcjax.types import UserError

FIRST_PORT = 8765
_PORTS = 50  # that are tried
_HERE = ("127.0.0.1", "localhost", "::1")
_PATIENCE = 3.0  # seconds that requests get at the end


def serve(
    photos: Path,
    folder: Path,
    open_network: Callable[[], Run],
    *,
    host: str,
    port: int,
    lessons: Lessons = DEFAULTS,
) -> None:
    """Serves a folder of photos until the process is asked to end.

    Args:
        photos: the folder, which exists.
        folder: folder of the labels; made if it does not exist.
        open_network: opens the network that proposes.
        host: address at which is listened.
        port: port; 0: FIRST_PORT or the next free one.
        lessons: how trainings are typed.

    Raises:
        UserError: the folder holds no photo, is labelled by another process, or the
            port is taken.
    """
    _check_ours(folder)
    found = Found(photos)
    writing.make_folder(folder)
    with lock.held(folder, what="it is labelled"), _listening(host, port) as listening:
        album = open_album(photos, found.files, folder / ".thumbnails")
        session = Session(album, folder, found)
        with contextlib.closing(session):
            found.enter(session)
            worker = Worker(session, open_network)
            trainings = Training(session, worker, lessons)
            number = listening.getsockname()[1]
            token = secrets.token_hex(16)
            app = App(session, worker, trainings).made(token, names_of(host, number))
            trainings.resume()
            worker.start()
            shown = f"[{host}]" if ":" in host else host
            try:
                with _running(app, listening) as thread:
                    print(f"open http://{shown}:{number}/?token={token}", flush=True)
                    while thread.is_alive():  # so that signals are heard
                        thread.join(0.5)
            finally:
                worker.stop()
                trainings.stop()
                worker.join(_PATIENCE)
                composing.write_all(session)


def _check_ours(folder: Path) -> None:
    """Raises UserError where something else lies in a folder."""
    check_folder(folder, "folder of labels")
    names = names_in(folder)
    if JOURNAL not in names and names not in ([], [lock.NAME]):
        raise not_ours(folder, names[0])


@contextlib.contextmanager
def _running(app, listening: socket.socket) -> Iterator[threading.Thread]:
    """The server in a thread, so that signals are this program's as ever."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=int(_PATIENCE),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="server"
    )
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(_PATIENCE + 1)


def names_of(host: str, port: int) -> list[str]:
    """What the header Host may say of a server.

    Args:
        host: address at which it listens.
        port: its port.
    """
    names = [*_HERE[:2], f"[{_HERE[2]}]"]
    if host not in _HERE:
        names.append(f"[{host}]" if ":" in host else host)
    return [f"{name}:{port}" for name in names] + names * (port == 80)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address; UserError where it is taken, or none of this machine."""
    ports = [port] if port else range(FIRST_PORT, FIRST_PORT + _PORTS)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        if hasattr(socket, "SO_REUSEADDR"):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in ports:
            try:
                found.bind((host, number))
                found.listen(128)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or number == ports[-1]:
                    raise UserError(
                        f"--host={host} --port={number}: {error.strerror or error}; "
                        "give another --port, or --host=127.0.0.1"
                    ) from error
        if host not in _HERE:
            screen.line(
                f"{shlex.quote(host)} is heard by other machines: whoever has the "
                "address with its token sees the photos and changes the labels"
            )
        yield found
