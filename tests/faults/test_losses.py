"""Processes of one run that lose each other, and strangers at their port."""

import contextlib
import json
import socket
import threading
import time

import jax
import numpy as np
import pytest

from ppcjax.errors import UserError
from ppcjax.train import links, peers
from tests.faults.held import Fault, all_held, drawn, sizes, some_break

QUIET = 0.8  # seconds of silence that count, in these tests
SOON = 4.0  # seconds within which all must know
TOKEN = "a token"

WORDS = (
    "photo 12.jpg is truncated",
    "",
    "x" * 5000,
    "a line\nand another",
    "\x1b[31mred",
    "Bild größer als \N{SNOWMAN}",
    "not finite at step 13",
)
# What a stranger may send to the port of process 0.
STRANGERS = (
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\n" * 100,
    b"\xff" * 1000,
    b"[" * 100_000 + b"\n",
    b"1" * 10_000 + b"\n",
    b'{"who": [1, 2, "h"], "token": "wrong"}\n',
    b'{"who": "x", "token": "a token"}\n',
    b'{"lost": "a lie"}\n{"ending": 7}\n',
    b'{"ending": [1]}\n',
    b"null\n{}\n",
)


class Run:
    """Processes of a run, as threads of this one."""

    def __init__(self, count: int):
        self.lost = {index: [] for index in range(count)}
        self.peers = {
            index: links.Peers(
                links.Who(index, 1000 + index, "host"), TOKEN, self.lost[index].append
            )
            for index in range(count)
        }
        self.port = self.peers[0].listen()
        for index in range(1, count):
            self.peers[index].connect("localhost", self.port, self.peers[0].me)
        end = time.monotonic() + SOON
        while any(
            len(self._known(i)) != (count - 1 if i == 0 else 1) for i in self.peers
        ):
            assert time.monotonic() < end, "the processes do not find each other"
            time.sleep(0.005)

    def _known(self, index: int):
        return [link for link in self.peers[index]._links if link.who]

    def kill(self, index: int) -> None:
        """As the system does it: the connections are closed, without a word."""
        one = self.peers[index]
        one._closed.set()
        for link in list(one._links):
            with contextlib.suppress(OSError):  # the other end was quicker
                link.connection.shutdown(socket.SHUT_RDWR)

    def stand(self, index: int) -> None:
        """As SIGSTOP and a lost network do it: the connections stay, and are silent."""
        self.peers[index]._closed.set()

    def leave(self, index: int, word: str) -> None:
        """It says why it ends, and ends."""
        self.peers[index].leave(word, 1)
        self.kill(index)

    def done(self, index: int) -> None:
        """It has finished, and ends."""
        self.peers[index].close()
        self.kill(index)

    def close(self) -> None:
        """Ends all threads."""
        for each in self.peers.values():
            each._closed.set()
        for each in self.peers.values():
            each._thread.join()
            for link in each._links:
                link.connection.close()


def _draw(rng: np.random.Generator) -> Fault:
    count = int(rng.integers(2, 6))
    kinds = ("kill", "stand", "leave", "done", "stranger")
    kind = str(rng.choice(kinds, p=(0.35, 0.1, 0.25, 0.1, 0.2)))
    value = (
        count,
        int(rng.integers(count)),
        kind,
        WORDS[int(rng.integers(len(WORDS)))],
        STRANGERS[int(rng.integers(len(STRANGERS)))],
        float(rng.uniform(0, 0.1)),
    )
    return Fault(f"{kind} of {value[1]} of {count}", value)


def _try(value) -> None:
    count, index, kind, word, noise, pause = value
    run = Run(count)
    try:
        time.sleep(pause)
        if kind == "stranger":
            with socket.create_connection(("localhost", run.port)) as stranger:
                stranger.sendall(noise)
            run.done(index)
        elif kind == "leave":
            run.leave(index, word)
        else:
            getattr(run, kind)(index)
        others = [i for i in run.peers if i != index]
        if kind in ("stranger", "done"):
            time.sleep(0.2)
            assert not any(run.lost[i] for i in others), run.lost
            return
        end = time.monotonic() + SOON
        while not all(run.lost[i] for i in others) and time.monotonic() < end:
            time.sleep(0.005)
        how = {"kill": "was lost: killed", "stand": "was lost: no sign of life"}
        for i in others:
            said = run.lost[i][0] if run.lost[i] else "nothing"
            assert f"process {index} (pid {1000 + index} on host)" in said, said
            assert how.get(kind, "ended: ") in said, said
            assert len(said) < 1200 and said.isprintable(), said
    finally:
        run.close()


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(links, "SILENCE", QUIET)
    monkeypatch.setattr(links, "BEAT", QUIET / 8)
    # Whoever leaves ends within MANNERS; here that would end the tests.
    monkeypatch.setattr(links.ending, "at_once", lambda *_: None)


@sizes(quick=12, slow=100, long=400)
def test_who_is_lost_is_named(count, short, record_property):
    all_held("processes, losses", drawn(_draw, count), _try, record_property)


def test_without_signs_of_life_it_shows(short, monkeypatch):
    monkeypatch.setattr(links, "SILENCE", 60.0)
    monkeypatch.setitem(globals(), "SOON", 1.0)
    some_break([Fault("stand", (3, 1, "stand", "", b"", 0.0))], _try, "signs of life")


def test_who_stood_still_itself_says_so(short):
    run = Run(2)
    try:
        run.peers[1]._stood = 50.0
        run.kill(0)
        end = time.monotonic() + SOON
        while not run.lost[1] and time.monotonic() < end:
            time.sleep(0.005)
        assert "this process stood still for 50 s" in run.lost[1][0]
    finally:
        run.close()


def test_what_is_said_is_json_of_one_line(short):
    del short
    left, right = socket.socketpair()
    link = links.Link(left, None)
    link.send({"ending": "a\nb"})
    assert json.loads(right.recv(100)) == {"ending": "a\nb"}
    left.close(), right.close()
    assert threading.active_count() < 100


@pytest.mark.parametrize("told", [False, True])
def test_what_comes_of_others_waits_for_the_thread_that_tells_of_them(
    told, monkeypatch
):
    """Also where that thread has told the others and is about to end the process."""
    waited = []
    monkeypatch.setattr(peers.time, "sleep", waited.append)
    me = links.Peers(links.Who(0, 1000, "host"), TOKEN, lambda line: None)
    me.code = 1 if told else None
    monkeypatch.setattr(peers, "_now", [me])
    monkeypatch.setattr(links, "MANNERS", 1e6)
    gone = jax.errors.JaxRuntimeError("UNKNOWN: Gloo all-reduce failed")
    with pytest.raises(UserError, match="lost each other"), peers.leaving():
        raise gone
    assert sum(waited) > links.SILENCE
