"""Runs that were made before evaluation was redrawn open, and score as they did.

The archive holds runs of a few steps on `shapes`, made and evaluated by the program of
commit ce76df4; the JSON file holds what it then wrote, by the same keys.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ppcjax.evaluate import command
from ppcjax.runs import open_run

FILES = Path(__file__).with_name("runs_before_redesign.tar.xz")
RECORDED = json.loads(FILES.with_name("runs_before_redesign.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("old")
    with tarfile.open(FILES) as archive:
        archive.extractall(root, filter="data")
    return root


def assert_recorded(found, recorded, path=""):
    if isinstance(recorded, dict):
        for key, value in recorded.items():
            assert_recorded(found[key], value, f"{path}.{key}")
    elif recorded is None or isinstance(recorded, str):
        assert found == recorded, path
    else:
        one, other = (np.array(x, np.float64) for x in (found, recorded))
        # A pixel at a threshold may fall on either side of it on another machine.
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3, err_msg=path)


# The others restore as these do, and take seconds each.
_SLOW = {"panet"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in _SLOW)) for n in RECORDED],
)
def test_old_runs_score_as_they_did(name, folder, tmp_path):
    recorded = dict(RECORDED[name])
    options = recorded.pop("options")
    assert open_run(folder / name).config["method"]["name"] == name
    command.main(["--ckpt", str(folder / name), f"--export={tmp_path}", *options])
    assert_recorded(json.loads((tmp_path / "metrics.json").read_text()), recorded)
