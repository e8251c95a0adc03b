"""The server as a process: kills, signals, a second one, folders of others."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from ppcjax import checkout, program
from ppcjax.label import serving
from ppcjax.label.journal import Journal
from ppcjax.label.state import replayed
from ppcjax.program import label
from ppcjax.types import UserError
from tests.label import worlds
from tests.label.test_state import random_action

ROOT = Path(__file__).parents[2]


class Server:
    """A server of a folder in a process of its own."""

    def __init__(self, photos: Path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.label.server", str(photos)],
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/\?token=(\w{32})\n", line)
        assert found, line + self.process.stderr.read()
        headers = {"X-Token": found[2]}
        self.client = httpx.Client(base_url=found[1], headers=headers, timeout=20)

    def do(self, *actions):
        answer = self.client.post("/api/actions", json={"actions": list(actions)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self):
        return self.client.get("/api/state").json()

    def kill(self):
        self.process.kill()

    def end(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def started():
    with contextlib.ExitStack() as stack:

        def start(photos):
            server = Server(photos)
            stack.callback(server.end)
            return server

        yield start


@pytest.mark.parametrize(
    ("count", "kills"), [(80, 1), pytest.param(1000, 12, marks=pytest.mark.slow)]
)
def test_nothing_acknowledged_is_lost(started, tmp_path, count, kills):
    """Random actions, one tab of them, while the server is killed at any moment."""
    photos = worlds.write_photos(tmp_path / "photos")
    rng = np.random.default_rng(count)
    sent, acknowledged = {}, []
    ends = sorted(rng.choice(np.arange(5, count), kills, replace=False).tolist())
    server = started(photos)
    number = 0
    while number < count:
        if ends and number >= ends[0]:
            ends.pop(0)
            delay = float(rng.uniform(0, 0.02))
            threading.Timer(delay, server.kill).start()
        action = {**random_action(rng, [0, 1, 2, 3]), "id": f"a-{number}"}
        sent[action["id"]] = action
        try:
            answer = server.do(action)
        except httpx.HTTPError:
            server.end()
            server = started(photos)
            # A page sends again what was not acknowledged: it counts once.
            answer = server.do(action)
        acknowledged += answer["applied"]
        number += 1
    time.sleep(0.05)
    server.kill()
    server.end()
    journal = Journal(tmp_path / "photos-labels/journal.jsonl")
    journal.close()
    entries = [entry for entry in journal.entries if entry.get("id")]
    assert not ends and len(acknowledged) > count / 4
    assert [entry["id"] for entry in entries] == acknowledged
    for entry in entries:
        asked = sent[entry["id"]]
        assert entry["kind"] == asked["kind"]
        if "points" in asked:
            np.testing.assert_allclose(entry["points"], asked["points"], atol=0.0051)
    # The server shows what a fold of the journal makes of it.
    server = started(photos)
    shown, state = server.state(), replayed(journal.entries)
    assert len(shown["classes"]) == len(state.classes)
    for photo in shown["photos"]:
        known = state.photo(photo["name"])
        assert photo["marks"] == len(known.items)
        assert photo["tags"] == sorted(known.tags)
        if known.settled:
            assert photo["status"] == known.settled
        marks = server.client.get(f"/marks/{photo['id']}").json()["items"]
        assert marks == known.items


@pytest.mark.slow
def test_a_session_from_the_first_stroke_to_the_export(started, tmp_path):
    photos = worlds.write_photos(tmp_path / "photos")
    server = started(photos)
    added = [{"kind": "class_add", "name": name} for name in ("red", "green")]
    marks = [
        worlds.stroke(i, c, *points)
        for i in (0, 1)
        for c, points in ((1 + i, ((18, 25), (38, 25))), (0, ((3, 3), (56, 3))))
    ]
    assert not server.do(*added, *marks)["refused"]
    server.client.post("/api/propose", json={"photo": 3})
    end = time.monotonic() + 120
    while server.state()["counts"]["proposed"] < 4:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not server.do({"kind": "accept", "photo": 3})["refused"]
    server.kill()
    server.end()
    server = started(photos)
    state = server.state()
    assert state["counts"]["accepted"] == 1 and state["counts"]["proposed"] == 3
    answer = server.client.post("/api/export", json={"formats": ["png_grey"]}).json()
    assert (Path(answer["folder"]) / "png_grey/masks/p3.png").is_file()
    # A second server stays away, and says why.
    with pytest.raises(AssertionError, match="in use by process .* it is labelled"):
        Server(photos)
    _what_a_browser_would_not_send(server)
    server.process.send_signal(signal.SIGINT)
    _, said = server.process.communicate(timeout=90)
    assert server.process.returncode == 130
    assert "Traceback" not in said and said.splitlines()[-1] == "stopped by Ctrl-C"


def _what_a_browser_would_not_send(server):
    url, token = server.client.base_url, server.client.headers["X-Token"]
    for path in ("/../../etc/passwd", "/page/../journal.jsonl", "/photo/%2e%2e", "//x"):
        with socket.create_connection((url.host, url.port), 10) as raw:
            head = f"Host: {url.host}:{url.port}\r\nX-Token: {token}"
            raw.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert raw.recv(4096).split(b"\r\n")[0].split()[1] == b"404"
    for lines in (b"\0\1\2\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000):
        with socket.create_connection((url.host, url.port), 10) as raw:
            with contextlib.suppress(OSError):
                raw.sendall(lines)
                raw.recv(100)
    assert server.state()["photos"]


def test_folders_of_others_are_left_alone(tmp_path):
    photos = worlds.write_photos(tmp_path / "photos")
    theirs = tmp_path / "photos-labels"
    theirs.mkdir()
    (theirs / "diary.txt").write_text("mine")
    with pytest.raises(UserError, match="diary.txt, which ppcjax did not write"):
        serving.serve(photos, theirs, worlds.network, host="127.0.0.1", port=0)
    assert [file.name for file in theirs.iterdir()] == ["diary.txt"]
    with pytest.raises(UserError, match="among the photos"):
        label.folder_of(photos, str(photos / "labels"))
    with pytest.raises(UserError, match="a whole disk"):
        label.folder_of(Path("/"), "")
    assert label.folder_of(photos, "") == theirs


def test_what_is_typed_wrong_is_a_line(tmp_path, monkeypatch, capsys):
    photos = worlds.write_photos(tmp_path / "photos")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words, said in (
            ((str(photos / "none"),), "no such folder"),
            ((str(photos), str(photos)), "one folder"),
            ((str(photos), "--colour=red"), "no option of label"),
            ((str(photos), "--port=70000"), "--port"),
            ((str(photos), f"--port={port}"), "give another --port"),
            ((str(photos), "--config.nothing=1"), "no such field"),
            ((str(tmp_path),), "holds no"),
        ):
            if words == (str(tmp_path),):
                (tmp_path / "empty").mkdir()
                words = (str(tmp_path / "empty"),)
            with pytest.raises(SystemExit) as stop:
                program.main("label", *words)
            assert stop.value.code == 1
            line = capsys.readouterr().err.splitlines()[-1]
            assert line.startswith("error: ") and said in line, line
    find = checkout.importlib.util.find_spec
    monkeypatch.setattr(
        checkout.importlib.util,
        "find_spec",
        lambda name: name != "uvicorn" and find(name) or None,
    )
    with pytest.raises(SystemExit):
        program.main("label", str(photos))
    assert "label needs uvicorn" in capsys.readouterr().err


def test_names_of_the_server():
    assert serving.names_of("127.0.0.1", 8765) == [
        *("127.0.0.1:8765", "localhost:8765", "[::1]:8765")
    ]
    assert "box.lan:80" in serving.names_of("box.lan", 80)
    assert "box.lan" in serving.names_of("box.lan", 80)
