"""One writer at a time: folders whose holder lives, is dead, or is somewhere else."""

import contextlib
import errno
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ppcjax.runs import lock
from ppcjax.types import UserError
from tests.faults.held import Fault, all_held, cycled, sizes, some_break

ROOT = Path(__file__).parents[2]
PROMPT = 0.5  # seconds without a sign of life, in these tests

# How the first holder ends, and whether the folder is free then.
ENDS = {"lives": False, "stands": False, "killed": True, "ended": True}
# What a lock file may hold that no process wrote as it is.
NOISE = {
    "nothing": b"",
    "half": b'{"pid": 12, "host": "a',
    "binary": bytes(range(256)),
    "a list": b"[1, 2]",
    "a number": b"7",
    "deep": b"[" * 5000,
    "long": b'{"pid": ' + b"9" * 100_000,
    "text for a number": b'{"pid":"x","host":"a","boot":"","begun":"","since":""}',
    "a wrong number": b'{"pid":-1,"host":"a","boot":"","begun":"","since":""}',
    "not enough": b'{"pid":12}',
    "null": b'{"pid":null,"host":null,"boot":null,"begun":null,"since":null}',
}
# What a file system without locks answers.
WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


@pytest.fixture(scope="module")
def holders():
    """Asks for a process that holds a folder: kind, folder -> its number."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.holder"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(kind: str, folder: Path) -> int:
        process.stdin.write(f"{kind} {folder}\n")
        process.stdin.flush()
        number, _, message = process.stdout.readline().rstrip("\n").partition(" ")
        assert number and not message, message or "the holder has died"
        return int(number)

    yield ask
    process.stdin.close()
    process.wait()


def _is_there(pid: int) -> bool:
    """Whether a process lives; one that is dead and not yet fetched does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


def _end(pid: int, how: str) -> None:
    number = {"stands": signal.SIGSTOP, "lives": 0}.get(how, signal.SIGKILL)
    os.kill(pid, number)
    while number == signal.SIGKILL and _is_there(pid):
        time.sleep(0.002)


def _refusal(way, folder: Path) -> str:
    """The line with which a folder is refused; "" where it is not."""
    said: list[str] = []
    more = {} if way is lock.written else {"log": said.append}
    try:
        with way(folder, **more):
            assert not any("\n" in line for line in said), said
            return ""
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)


def _check(said: str, is_free: bool, *words: str) -> None:
    assert bool(said) != is_free, said or "it is let in beside one that lives"
    missing = [word for word in words if said and word not in said]
    assert not missing, f"{missing} is not said: {said}"


class Locks:
    """Tries faults of locks, each in a folder of its own."""

    def __init__(self, root: Path, ask):
        self._root, self._ask, self._count = root, ask, itertools.count()

    def folder(self) -> Path:
        """A new one."""
        path = self._root / f"run {next(self._count)}"
        path.mkdir()
        return path

    def held_by_another(self, value: tuple[str, str, int | None]) -> None:
        """A process holds a folder, and ends or not; the file system may lack locks."""
        kind, how, number = value
        folder = self.folder()
        pid = self._ask(kind, folder)
        try:
            _end(pid, how)
            way = {"run": lock.held, "results": lock.written}[kind]
            with _without_locks(number):
                said = _refusal(way, folder)
            words = [f"process {pid}", str(folder)]
            if kind == "run":
                words += [socket.gethostname(), "since 20"]
            _check(said, ENDS[how], *words)
            if kind == "run":
                with _expected(None if ENDS[how] else UserError):
                    lock.check(folder)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def held_elsewhere(self, value: tuple[bool, bool, int | None]) -> None:
        """A process of another machine wrote itself down; it lives, or gave up."""
        lives, same_name, number = value
        folder = self.folder()
        host = socket.gethostname() if same_name else "node7"
        holder = lock.Holder(4711, host, "another boot", "1", "2026-11-02 10:00:00")
        (folder / lock.NAME).write_text(json.dumps(holder._asdict()))
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(PROMPT / 8):
                os.utime(folder / lock.NAME)

        thread = threading.Thread(target=beat)
        if lives:
            thread.start()
        try:
            with _without_locks(number):
                said = _refusal(lock.held, folder)
        finally:
            stop.set()
            if lives:
                thread.join()
        _check(said, not lives, f"process 4711 on {host} since 2026-11-02")

    def noise(self, content: bytes) -> None:
        """A lock file that says nothing sensible is no reason to refuse."""
        folder = self.folder()
        (folder / lock.NAME).write_bytes(content)
        _check(_refusal(lock.held, folder), is_free=True)
        lock.check(folder)


@contextlib.contextmanager
def _without_locks(number: int | None):
    """A file system that answers with an error where a lock is asked for."""
    if number is None:
        yield
        return

    def flock(*_):
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock.fcntl, "flock", flock)
        yield


def _expected(error):
    return pytest.raises(error) if error else contextlib.nullcontext()


def _faults(locks: Locks) -> list[Fault]:
    found = [
        Fault(f"{kind} {how} {number}", (locks.held_by_another, (kind, how, number)))
        for kind, numbers in (("run", (None, *WITHOUT)), ("results", (None,)))
        for how in ENDS
        for number in numbers
    ]
    found += [
        Fault(f"elsewhere {value}", (locks.held_elsewhere, value))
        for value in itertools.product((True, False), (True, False), (None, *WITHOUT))
    ]
    return found + [
        Fault(f"noise: {name}", (locks.noise, content))
        for name, content in NOISE.items()
    ]


@pytest.fixture
def locks(tmp_path, holders, monkeypatch):
    monkeypatch.setattr(lock, "SILENCE", PROMPT)
    monkeypatch.setattr(lock, "BEAT", PROMPT / 8)
    return Locks(tmp_path, holders)


def _try(value) -> None:
    attempt, fault = value
    attempt(fault)


@sizes(quick=16, slow=63)
def test_a_folder_has_one_writer(count, locks, record_property):
    faults = _faults(locks)
    assert len(faults) >= 63
    all_held("processes, locks", cycled(faults, count), _try, record_property)


def test_without_the_kernel_and_signs_of_life_it_shows(locks, monkeypatch):
    monkeypatch.setattr(lock, "lives", lambda *_: False)
    monkeypatch.setattr(lock.fcntl, "flock", lambda *_: None)
    faults = [x for x in _faults(locks) if "lives None" in x.name]
    some_break(faults, _try, "locks")


def test_a_reader_and_a_later_run_need_no_lock(tmp_path):
    with lock.held(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()
        with pytest.raises(UserError, match=f"in use by process {os.getpid()} "):
            lock.check(tmp_path)
    assert (tmp_path / lock.NAME).read_bytes() == b""
    lock.check(tmp_path)
    with lock.held(tmp_path):
        pass
    with lock.written(tmp_path / "results"):
        assert not list((tmp_path / "results").iterdir())
