"""A tracker beside the files of a run: it goes on, and its failures end nothing."""

import importlib.machinery
import sys
import types

import pytest

from ppcjax.train import settings, tracking
from ppcjax.types import UserError
from tests.train import toy

CONFIG = {"track": "wandb", "name": "toy"}


class Stand:
    """A stand-in for the library and for its one run."""

    offline, url = False, "https://example.org/run"

    def __init__(self, fails=""):
        self.fails, self.begun, self.logged, self.finished = fails, [], [], 0
        self.Settings = dict

    def init(self, **given):
        self._do("init")
        self.begun.append(given)
        return self

    def log(self, values, *, step):
        self._do("log")
        self.logged.append((step, values))

    def finish(self):
        self._do("finish")
        self.finished += 1

    def _do(self, what):
        if what == self.fails:
            raise RuntimeError("no such server\nwith more lines")


@pytest.fixture
def stand(monkeypatch):
    def make(fails=""):
        made = Stand(fails)
        module = types.ModuleType("wandb")
        module.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
        module.init, module.Settings = made.init, made.Settings
        monkeypatch.setitem(sys.modules, "wandb", module)
        return made

    return make


def test_all_values_go_there_and_a_resumed_run_goes_on_there(stand, tmp_path, capfd):
    first = stand()
    toy.fit(tmp_path, steps=5, eval_every=5, config=CONFIG)
    again = stand()
    toy.fit(tmp_path, steps=10, eval_every=5, config=CONFIG)
    assert first.finished == again.finished == 1
    (was,), (now,) = first.begun, again.begun
    assert was["id"] == now["id"] and now["resume"] == "allow"
    assert was["config"]["track"] == "wandb" and was["name"] == tmp_path.name
    steps = [step for step, _ in first.logged + again.logged]
    assert steps == [5, 5, 10, 10]
    names = {name for _, values in first.logged for name in values}
    assert {"train/loss/total", "train/loss/class", "val/smallness"} <= names
    assert Stand.url in capfd.readouterr().err


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_what_fails_there_is_said_once_and_ends_nothing(stand, tmp_path, capfd, fails):
    stand(fails)
    assert toy.fit(tmp_path, steps=10, config=CONFIG) == 10
    said = capfd.readouterr().err
    assert said.count("Weights & Biases failed (RuntimeError: no such server)") == 1
    assert "finished: 10 steps" in said


def test_only_the_first_process_has_one(stand, tmp_path, monkeypatch):
    made = stand()
    monkeypatch.setattr("jax.process_index", lambda: 1)
    assert tracking.opened(CONFIG, tmp_path, print) is None and not made.begun


def test_a_missing_library_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="is not installed: pip install .*wandb"
    ) as caught:
        settings.RunSettings(track="wandb")
    assert "\n" not in str(caught.value)
    assert settings.RunSettings().track == ""
