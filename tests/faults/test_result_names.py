"""Whatever a photo, a split or a run is called, its results stay in their folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from ppcjax import fields
from ppcjax.evaluate import results as export
from ppcjax.evaluate.masks.files import write_prediction
from ppcjax.evaluate.protocol import Request
from ppcjax.runs import names
from ppcjax.train.settings import RunSettings
from ppcjax.types import UserError
from tests.evaluate.masks.test_files import make_prediction
from tests.faults.held import Fault, all_held, drawn, sizes, some_break
from tests.faults.owners import snapshot

# Parts of names, between bars.
_PARTS = (
    "..|.||a|con|nul.txt|a.| b|~|-rf|\n|\x1b[31m|C:|\\|..\\..|\udcff|mäsk|*|🐈".split(
        "|"
    )
)
_PARTS += ["x" * 300, "é" * 130, "\0", "a\0b", "\0.."]


def _draw_name(rng: np.random.Generator) -> Fault:
    places = rng.integers(len(_PARTS), size=rng.integers(1, 5))
    parts = [_PARTS[place] for place in places]
    name = ("/" if rng.random() < 0.2 else "") + "/".join(parts)
    return Fault(ascii(name), name)


@pytest.fixture
def attempt_name(tmp_path):
    """Tries a name as that of a photo, of a split and of a run."""
    out = export.results(tmp_path / "out")
    outside = snapshot(tmp_path)

    def one_line(error):
        assert str(error).isprintable(), str(error)

    def attempt(name):
        try:
            write_prediction(make_prediction(name), out, threshold=0.5)
        except UserError as error:
            one_line(error)
        for windows in (False, True):
            try:
                found = names.below(tmp_path / "out", f"masks/{name}", windows=windows)
            except UserError as error:
                one_line(error)
            else:
                inside = os.path.normpath(found)
                assert inside.startswith(str(tmp_path / "out/masks/")), inside
        run = type("Run", (), {"folder": tmp_path / "out"})
        try:
            found = Request().out(run, name)
        except UserError as error:
            one_line(error)
        else:
            assert Path(os.path.normpath(found)).is_relative_to(tmp_path / "out")
        try:
            fields.build(RunSettings, {"name": name}, where="config", what="a run")
        except UserError:
            pass
        else:
            assert (tmp_path / "runs" / name).parent == tmp_path / "runs"
        after = snapshot(tmp_path)
        left = {k: v for k, v in after.items() if k.split("/")[0] != "out"}
        assert left == outside, f"written outside: {set(left) - set(outside)}"

    return attempt


@sizes(quick=40, slow=400, long=3000)
def test_names_lead_nowhere_else(attempt_name, count, record_property):
    all_held("result names", drawn(_draw_name, count), attempt_name, record_property)


def test_names_lead_elsewhere_without_the_check(attempt_name, monkeypatch):
    monkeypatch.setattr(names, "_why_not", lambda *_: "")
    faults = [Fault("up", "../../up")]
    some_break(faults, attempt_name, "the check of names")


def test_results_that_would_be_one_file_are_said_first(tmp_path, monkeypatch):
    for ids in (("a", "a.png/b"), ("x" * 252,), ("a/../b",)):
        with pytest.raises(UserError) as caught:
            names.check_all(tmp_path, [f"masks/{one}.png" for one in ids])
        assert str(caught.value).isprintable()
    names.check_all(tmp_path, ["masks/a.png", "masks/A.png", "masks/a/b.png"])
    monkeypatch.setattr(names, "_tells_cases", lambda folder: False)
    with pytest.raises(UserError, match="would be one file"):
        names.check_all(tmp_path, ["masks/a.png", "masks/A.png"])
