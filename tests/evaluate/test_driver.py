"""A new kind of evaluation is one file and one entry."""

import dataclasses
import json
from typing import Annotated

import numpy as np
import pytest

from ppcjax import data_pipelines, methods
from ppcjax.evaluate import EVALUATIONS, command
from ppcjax.evaluate.protocol import Evaluation, Plan, added, nothing
from ppcjax.fields import Range
from ppcjax.report.page import Page, section
from ppcjax.runs import open_run
from ppcjax.types import Method, UserError
from tests.evaluate.conftest import make_run

# What somebody adds: the mean brightness of photos, as a network sees it.


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrightnessSettings:
    """Settings of the evaluation.

    scale: factor of the brightness.
    """

    scale: Annotated[float, Range(above=0)] = 1.0


def brightness(run, settings, request, given):
    """The plan of the evaluation."""
    source = data_pipelines.make_source(
        run.config["data"], request.split_of(request.data(run)), classes=run.classes
    )

    def results(counts):
        return {"brightness": counts["sum"] / counts["pixels"]}

    return Plan(
        run=run,
        split="test",
        predictions=data_pipelines.make_eval({}, source),
        total=len(source),
        unit="photos",
        count=lambda one: {
            "sum": settings.scale * one.image.sum(dtype=float),
            "pixels": one.image.size,
        },
        summarize=results,
        score=lambda found: {"brightness": found["brightness"]},
        write=lambda one, folder: None,
        tile=lambda one: one.id if one.id == "test_00000" else None,
        text=lambda metrics: f"brightness {metrics['brightness']:.1f}",
        page=lambda metrics, tiles: Page("Brightness", "", [section("Photos", *tiles)]),
        files={"note.txt": b"bright"},
    )


ENTRY = Evaluation(
    BrightnessSettings,
    brightness,
    nothing,
    None,
    lambda method: method.gives == "brightness",
    ("split", "export"),
    "how bright photos are",
)


def bright_method(num_classes: int) -> Method:
    """The method that goes with it."""
    return Method(
        lambda key, batch: ({"w": np.ones(2, np.float32)}, {}),
        None,
        None,
        gives="brightness",
    )


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setitem(EVALUATIONS, "brightness", ENTRY)
    monkeypatch.setitem(methods.METHODS, "bright", bright_method)
    monkeypatch.setattr("tests.evaluate.conftest.small", lambda name: {})
    return make_run(tmp_path, "bright")


def test_a_new_evaluation_is_one_entry(folder, capsys):
    command.main(["--ckpt", str(folder), "--scale=2"])
    out = folder / "eval-test"
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["evaluation"] == "brightness" and metrics["method"] == "bright"
    assert 100 < metrics["brightness"] < 500
    assert (out / "note.txt").read_bytes() == b"bright"
    record = json.loads((out / "provenance.json").read_text())
    assert record["settings"] == {"scale": 2.0}
    assert "<h2>Photos</h2>test_00000" in (out / "report.html").read_text()
    assert "brightness " in capsys.readouterr().out
    command.main(["--ckpt", str(folder), "--help"])
    assert "--scale=1.0\n      factor of the brightness." in capsys.readouterr().out
    with pytest.raises(UserError, match="--crf is no option of the evaluation 'br"):
        command.main(["--ckpt", str(folder), "--crf=k1"])
    with pytest.raises(UserError, match="--scale='0': give a number above 0"):
        command.main(["--ckpt", str(folder), "--scale=0"])


def test_a_new_evaluation_may_fit_runs_that_there_are(folder_of, monkeypatch, tmp_path):
    monkeypatch.setitem(
        EVALUATIONS, "brightness", ENTRY._replace(fits=lambda method: True)
    )
    for name in ("pixpro", "segment"):
        out = tmp_path / name
        words = ["--ckpt", str(folder_of(name)), f"--export={out}"]
        command.main([*words, "--evaluation=brightness"])
        assert json.loads((out / "metrics.json").read_text())["brightness"] > 0
        assert open_run(folder_of(name)).method.gives != "brightness"


def test_counts_add_up_and_missing_ones_are_zero():
    one = {"a": 1, "n": {"x": np.array([1, 2])}}
    two = {"b": 2.5, "n": {"x": np.array([3, 4]), "y": 1}}
    found = added(added({}, one), two)
    assert found["a"] == 1 and found["b"] == 2.5 and found["n"]["y"] == 1
    np.testing.assert_array_equal(found["n"]["x"], [4, 6])
    assert one["n"]["x"].tolist() == [1, 2]
