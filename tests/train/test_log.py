"""What a run tells, and where."""

import json

import pytest

from ppcjax.console import screen
from ppcjax.train import log as logs
from ppcjax.train.log import Log

VALUES = {"loss/total": 1.23456, "loss/class": 0.5, "stat/update_norm": 2.0}


@pytest.fixture
def log(tmp_path):
    found = Log(tmp_path)
    found.start(0, 1000, {})
    yield found
    found.close()


def test_the_console_has_one_short_line_and_the_files_have_all(log, tmp_path, capfd):
    log.scalars(50, VALUES, 12.345, 3 * 3600 + 12)
    line = "step 50/1000  loss 1.235  12.3 images/s  ETA 3:00:12"
    assert capfd.readouterr().err == line + "\n"
    full = "step 50/1000  class 0.5  total 1.235  12.3 images/s  ETA 3:00:12"
    assert (tmp_path / "log.txt").read_text().endswith(f" {full}\n")
    record = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert {f"train/{name}" for name in VALUES} <= set(record)


@pytest.mark.parametrize("values", [{}, {"loss/class": 1.0}])
def test_a_method_without_a_total_loss_has_a_line_too(log, capfd, values):
    log.scalars(50, values, 0.0, 0.0)
    assert capfd.readouterr().err == "step 50/1000\n"


def test_a_log_hears_of_slow_steps_between_two_lines(log, monkeypatch, capfd):
    log.progress(1, 0.1, 900.0)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(screen, "PAUSE", 0.0)
    log.progress(2, 0.1, 900.0)
    assert capfd.readouterr().err == "step 2/1000  0.1 images/s  ETA 0:15:00\n"


@pytest.mark.parametrize(("steps", "rate"), [(2, 0), (3, 0), (4, 0.4), (12, 0.4)])
def test_few_steps_have_the_speed_of_many(monkeypatch, steps, rate):
    """Each takes 10 s where it is pushed; what is fetched at the end takes nothing."""
    now = [0.0]
    monkeypatch.setattr(logs.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(logs.compiling, "seconds", lambda: 0.0)
    meter, seen = logs.Meter(4), []
    for step in range(1, steps + 1):
        now[0] += 10
        seen += meter.push(step, {"loss": 1.0})
    now[0] += 1e-4
    seen += meter.fetch()
    assert [step for step, _ in seen] == list(range(1, steps + 1))
    assert meter.rate == pytest.approx(rate)


def test_a_step_has_one_line(log, monkeypatch, capfd):
    monkeypatch.setattr(screen, "PAUSE", 0.0)
    log.scalars(2, VALUES, 0.1, 900.0)
    log.progress(2, 0.1, 900.0)
    assert capfd.readouterr().err.count("step 2/1000") == 1


def test_names_of_any_letters_are_logged(log, tmp_path):
    log.line("classes: 猫, Müll")
    assert "猫, Müll" in (tmp_path / "log.txt").read_text("utf-8")
