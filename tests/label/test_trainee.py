"""A training whose server is killed with -9 goes on, and the next server finds it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppcjax.label.trainee import Trainee
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from ppcjax.runs import lock
from ppcjax.runs.files import write_json
from ppcjax.types import UserError
from tests.label import worlds
from tests.test_layering import ROOT

# A server that starts a training and says so; it lives until it is killed.
_SERVER = """
import pathlib, sys, time
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from tests.label import test_trainee, worlds

session = worlds.session(pathlib.Path(sys.argv[1]))
training = Training(session, Worker(session, worlds.network), start=test_trainee.begun)
print(training.start(), flush=True)
time.sleep(100)
"""
# In the place of a training: it holds its run, takes steps, and ends when it is told.
_RUN = """
import json, pathlib, signal, sys, time
from ppcjax.runs import lock

folder = pathlib.Path(next(w for w in sys.argv if "--workdir=" in w)[10:])
folder.mkdir(exist_ok=True)
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
with lock.held(folder):
    (folder / "config.json").write_text(json.dumps({"steps": 8}))
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 3}) + "\\n")
    print("step 3/8", flush=True)
    while not (folder / "go").exists():
        if stopped:
            sys.exit("stopped by SIGTERM after step 3 of 8")
        time.sleep(0.02)
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 8}) + "\\n")
    print("finished: 8 steps", flush=True)
"""


def begun(command, **more):
    """Starts the stand-in."""
    return subprocess.Popen([sys.executable, "-c", _RUN, *command[3:]], **more)


def _until(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def killed(tmp_path):
    """Photos whose server was killed while it trained."""
    photos = worlds.write_photos(tmp_path / "photos")
    session = worlds.session(photos)
    worlds.marked(session, 4)
    session.do([{"kind": "accept", "photo": i} for i in range(4)])
    session.close()
    words = [sys.executable, "-c", _SERVER, str(photos)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    server = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    run = Path(server.stdout.readline().decode().strip())
    _until(lambda: (run / "metrics.jsonl").is_file())
    server.kill()  # 9
    server.communicate()
    yield photos
    pid = Trainee(run.parent).pid()
    if pid:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def later(killed):
    """The session of the next server, and its trainings."""
    session = worlds.session(killed)
    training = Training(session, Worker(session, worlds.network), start=begun)
    training.resume()
    yield session, training
    session.close()


def test_it_is_shown_and_its_end_is_seen(later):
    session, training = later
    now = training.progress()
    assert now["state"] == "running" and (now["step"], now["steps"]) == (3, 8)
    assert now["said"] == "step 3/8"
    with pytest.raises(UserError, match="running already"):
        training.start()
    with pytest.raises(UserError, match="running already"):
        training.go_on()
    with (
        pytest.raises(UserError, match="in use by process"),
        lock.held(Path(now["run"])),
    ):
        pass
    before = session.version
    (Path(now["run"]) / "go").touch()
    _until(lambda: training.progress()["state"] == "done")
    _until(lambda: any("Propose uses" in line for line in session.said()))
    assert session.version > before and training.progress()["step"] == 8
    assert not training.stop()


def test_it_is_stopped_and_goes_on(later):
    session, training = later
    assert training.stop()
    _until(lambda: training.progress()["state"] == "failed")
    run = training.progress()["run"]
    _until(lambda: any("goes on with it" in line for line in session.said()))
    (line,) = (line for line in session.said() if "goes on with it" in line)
    assert "stopped by SIGTERM after step 3 of 8" in line
    assert "--config=segment_dino_folder" in line and f"--workdir={run}" in line
    assert training.go_on() == run
    assert training.progress()["state"] == "running"
    (Path(run) / "go").touch()
    _until(lambda: training.progress()["state"] == "done")


def test_it_was_killed_as_well(killed):
    folder = killed.with_name("photos-labels") / "trainings/0001"
    os.kill(Trainee(folder).pid(), signal.SIGKILL)
    _until(lambda: not Trainee(folder).lives())
    session = worlds.session(killed)
    training = Training(session, Worker(session, worlds.network), start=begun)
    training.resume()
    assert training.progress()["state"] == "failed" and not training.stop()
    assert any(f"--workdir={folder / 'run'}" in line for line in session.said())
    assert training.start() != str(folder / "run")  # another one may begin
    assert training.stop()
    session.close()


def test_whoever_goes_on_in_a_terminal_is_found(tmp_path):
    trainee = Trainee(tmp_path)
    trainee.run.mkdir()
    (tmp_path / "log.txt").write_text("step 1/8\n")
    os.utime(tmp_path / "log.txt", (1, 1))
    write_json(tmp_path / "process.json", {"words": ["train"], "pid": "x"})
    assert not trainee.lives() and trainee.words() == ["train"]
    words = [sys.executable, "-c", _RUN, f"--workdir={trainee.run}"]
    other = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    _until(trainee.lives)
    assert not trainee.stop()  # which is nobody's business but theirs
    said = "2026-01-01 00:00:00 finished: 8 steps\n"
    (trainee.run / "log.txt").write_text(said)
    (trainee.run / "go").touch()
    assert other.wait(20) == 0
    assert not trainee.lives() and trainee.is_finished()
    assert trainee.progress()["said"] == "finished: 8 steps"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": 1}', '{"words": 3}'])
def test_notes_that_are_none(tmp_path, content):
    trainee = Trainee(tmp_path)
    assert not trainee.lives()
    for name in ("process.json", "ids.json", "log.txt"):
        (tmp_path / name).write_text(content)
    assert not trainee.lives() and not trainee.is_finished() and not trainee.stop()
    assert trainee.words() == [] and trainee.ids() == {}
    assert trainee.progress() == {"step": None, "steps": None, "said": content}
