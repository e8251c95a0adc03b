"""Trainings: what is learnt from, how far it is, what is proposed by afterwards."""

import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines import SOURCES
from ppcjax.label.lessons import Lessons
from ppcjax.label.training import Trained, Training
from ppcjax.label.worker import Worker
from ppcjax.runs.files import write_json
from ppcjax.types import UserError
from tests.label import worlds

_RUN = """
import json, pathlib, sys
folder = pathlib.Path(next(w for w in sys.argv if "--workdir=" in w)[10:])
folder.mkdir()
(folder / "config.json").write_text(json.dumps({"steps": 8}))
(folder / "metrics.jsonl").write_text(json.dumps({"step": 8}) + "\\n")
print("finished: 8 steps" if "ok" in sys.argv else "error: no such thing")
sys.exit("ok" not in sys.argv)
"""


class Processes:
    """Starts something short in the place of a training."""

    def __init__(self, *words):
        self.words, self.commands = words, []

    def __call__(self, command, **more):
        self.commands.append(command)
        mine = [sys.executable, "-c", _RUN, *command[3:], *self.words]
        return subprocess.Popen(mine, **more)


def _until(what):
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def accepted(session):
    worlds.marked(session, 4)
    asked = [{"kind": "accept", "photo": i} for i in range(3)]
    session.do([*asked, {"kind": "none", "photo": 3}])
    session.do([{"kind": "class_add", "name": "blue", "class": 9}])
    return session


def test_a_training_learns_from_what_is_accepted(accepted):
    worker, start = Worker(accepted, worlds.network), Processes("ok")
    training = Training(
        accepted, worker, Lessons({"weights": "w", "endpoint": "stage4"}, 7), start
    )
    assert training.progress() is None
    with pytest.raises(UserError, match="no segmenter"):
        worker.propose(0, "trained")
    run = training.start()
    folder = accepted.folder / "trainings/0001"
    assert run == str(folder / "run")
    assert f"--config.data.root={folder}" in start.commands[0]
    assert start.commands[0][3:8] == [
        *("train", "--config=segment_dino_folder", "--config.frozen.weights=w"),
        *("--config.steps=7", "--config.log_every=1"),
    ]
    _until(lambda: training.progress()["state"] == "done")
    assert training.progress() == {
        **{"run": run, "state": "done", "step": 8, "steps": 8},
        "said": "finished: 8 steps",
    }
    _until(lambda: any("Propose uses" in line for line in accepted.said()))
    worker.propose(0, "trained")
    # What was learnt from is a folder as any other.
    source = SOURCES["folder"]("all", root=str(folder))
    assert source.classes == ("background", "red", "green", "blue")
    assert source.ids == ("p0", "p1", "p2", "p3")
    mask = source.record(1).mask()
    assert mask[25, 25] == 2 and mask[3, 30] == 0 and mask[45, 45] == 255
    assert (source.record(3).mask() == 0).all()
    # And after a restart it is still there.
    later = Training(accepted, Worker(accepted, worlds.network))
    later.resume()
    assert later.progress()["state"] == "done"


def test_a_training_learns_from_tags(session):
    worlds.marked(session)
    start = Processes("ok")
    training = Training(session, Worker(session, worlds.network), start=start)
    with pytest.raises(UserError, match="0 photos have tags"):
        training.start("tags")
    with pytest.raises(UserError, match="masks, tags"):
        training.start("stars")
    tags = [
        {"kind": "tag", "photo": i, "class": 1 + i % 2, "on": True} for i in range(4)
    ]
    session.do(tags)
    training.start("tags")
    assert "--config=ppc_dino_folder" in start.commands[0]
    source = SOURCES["folder"]("all", root=str(session.folder / "trainings/0001"))
    assert [source.record(i).tags().tolist() for i in (0, 1)] == [[1, 1, 0], [1, 0, 1]]
    _until(lambda: training.progress()["state"] == "done")


def test_a_training_that_fails_says_why(accepted):
    worker = Worker(accepted, worlds.network)
    training = Training(accepted, worker, start=Processes())
    training.start()
    _until(lambda: training.progress()["state"] == "failed")
    _until(lambda: any("error: no such thing" in line for line in accepted.said()))
    later = Training(accepted, worker, start=Processes("ok"))
    with pytest.raises(UserError, match="no training has ended"):
        later.go_on()
    later.resume()
    assert later.progress()["state"] == "failed"
    assert later.progress()["said"] == "error: no such thing"
    run = accepted.folder / "trainings/0001/run"
    assert any("goes on with it: " in x and str(run) in x for x in accepted.said())
    run.rename(run.with_name("before"))  # the stand-in makes it
    assert later.go_on() == str(run)
    _until(lambda: later.progress()["state"] == "done")
    training.start()
    assert (accepted.folder / "trainings/0002").is_dir()
    training.stop()


def test_too_little_is_accepted(session):
    worlds.marked(session)
    session.do([{"kind": "accept", "photo": 0}])
    training = Training(session, Worker(session, worlds.network))
    with pytest.raises(UserError, match="accept 4 or more"):
        training.start()


def test_classes_of_a_run_are_those_of_the_session(session, monkeypatch):
    class Found:
        mask = np.array([[0, 1], [2, 1]], np.uint8)
        scores = np.zeros((2, 2, 3), np.float32)

    class Predictor:
        threshold = 0.5

        def predict(self, file):
            return Found()

    monkeypatch.setattr("ppcjax.label.training.load", lambda run: Predictor())
    trained = Trained(session, session.folder, {4: 1, 9: 2})
    mask, unsure = trained(0)
    assert mask.tolist() == [[0, 4], [9, 4]] and 0 <= unsure <= 1


def test_notes_that_are_none_stop_nothing(session):
    folder = session.folder / "trainings/0001"
    (folder / "run").mkdir(parents=True)
    (folder / "log.txt").write_text("finished: 1 steps\n")
    training = Training(session, Worker(session, worlds.network))
    for note in ({}, {"a": "b"}, {"1": None}):
        write_json(folder / "ids.json", note)
        training.resume()
        assert training.progress() is None
    Image.new("L", (2, 2)).save(folder / "0.png")
