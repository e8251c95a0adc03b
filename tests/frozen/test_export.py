"""A run on a frozen convolutional network is exported whole, and says what it gave."""

import json

import jax
import numpy as np
import pytest

from ppcjax import methods
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.predict.export import export_model
from ppcjax.runs import Run
from ppcjax.weights.exported import open_exported
from tests import batches
from tests.frozen.networks import network
from tests.weights.exports import noise, scores_of_run

CONFIG = {
    "name": "on_frozen",
    "method": {"name": "segment", "backbone": "frozen", "head": "linear"},
    "data": {"source": "folder", "root": "photos", "batch_size": 2},
    "eval": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    frozen = network(
        backbone="small_resnet", backbone_settings={"width": 4}, whole_cells=True
    )
    method = methods.make(kept.fitted(CONFIG["method"], frozen.settings), 3)
    method = attached(method, frozen)
    state = method.init(jax.random.key(0), method.look(batches.dense()))
    given = {"backbone": "small_resnet", "weights": "~/mine/own.npz"}
    config = CONFIG | {"frozen": given}
    names = ("background", "owl", "hen")
    return Run(tmp_path_factory.mktemp("run"), 9, config, names, method, *state)


def test_what_is_opened_again_gives_what_the_run_gave(run, tmp_path):
    export_model(run, tmp_path / "out")
    note = json.loads((tmp_path / "out" / "model.json").read_text())
    assert note["aligned"] is run.method.aligned is False
    assert note["weights"]["start"] == "`own.npz`"
    images = noise(1, 41, 57)
    again = open_exported(tmp_path / "out")
    np.testing.assert_allclose(
        scores_of_run(again, *images)[0], scores_of_run(run, *images)[0], atol=1e-5
    )


def test_an_export_that_says_nothing_of_corners_has_them_on_the_photos(run, tmp_path):
    """As all networks had before some stood on frozen ones."""
    export_model(run, tmp_path / "out")
    file = tmp_path / "out" / "model.json"
    note = json.loads(file.read_text())
    del note["aligned"]
    file.write_text(json.dumps(note))
    assert open_exported(tmp_path / "out").method.aligned
