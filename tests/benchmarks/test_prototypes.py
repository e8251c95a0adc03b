"""Preconditions of prototypes: what is counted, and the page of a run."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from benchmarks import prototype_table, prototypes, study_table
from benchmarks.prototype_counts import Counts
from ppcjax import methods
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError
from tests import batches
from tests.evaluate.conftest import DATA, MORE_DATA, make_run
from tests.frozen.networks import network

CLASSES = ("background", "owl", "hen")


def looked(labels, truth, near):
    """What a run makes of one photo of four cells in a row."""
    near = np.array(near, np.float32).reshape(1, 1, 4, 3)
    made = np.zeros((1, 1, 4, 3), bool)
    made[0, 0, :2, 1] = True
    return prototypes.Looked(
        np.array(truth)[None, None],
        np.array(labels)[None, None],
        {"own": near, "tagged": near, "true": near},
        {"own": made, "tagged": made},
    )


def test_counts_are_those_of_four_cells():
    near = [[0.9, 0.2, 0.1], [0.3, 0.8, 0.4], [0.1, 0.2, 0.7], [0.5, 0.5, 0.5]]
    counts = Counts.empty(CLASSES)
    counts.add(looked([0, 1, 1, 0], [0, 1, 0, IGNORE], near), np.array([[1, 1, 0]]))
    found = counts.results()
    assert found["pixels"] == 3 and found["true_share"]["hen"] == 0
    pseudo = found["labels"]["pseudo"]
    assert pseudo["recall"] == {"background": 0.5, "owl": 1.0, "hen": None}
    # Two of the three known cells of the one photo with an owl are called owl.
    assert pseudo["chance"]["owl"] == pytest.approx(2 / 3, abs=1e-3)
    assert pseudo["foreground"] == pytest.approx(2 / 3)
    assert pseudo["true_foreground"] == pytest.approx(1 / 3)
    nearest, told = (found["labels"][n] for n in ("nearest", "nearest_told"))
    assert nearest["confusion"][0] == [0.5, 0.0, 0.5]
    assert told["confusion"][0] == [0.5, 0.5, 0.0]
    assert found["cosines"]["own"]["owl"] == [0.8, 0.4]
    assert found["cosines"]["own"]["background"] == pytest.approx([0.5, 0.45])
    assert found["made_of"]["own"]["owl"] == [0.5, 0.5, 0.0]
    assert found["tagged_batches"] == {"background": 1.0, "owl": 1.0, "hen": 0.0}


@pytest.mark.parametrize(("aligned", "places"), [(True, [0, 3, 7]), (False, [1, 4, 6])])
def test_masks_are_read_where_cells_lie(aligned, places):
    mask = np.arange(8)[None, :, None] + np.zeros((1, 8, 8), int)
    found = prototypes.at_grid(mask, (4, 4), (3, 3), aligned)
    np.testing.assert_allclose(found[0, :, 0], places, atol=1)
    assert found.shape == (1, 3, 3)


def test_a_run_gets_numbers_pictures_and_a_page(tmp_path, capsys):
    run, out = make_run(tmp_path, "ppc"), tmp_path / "out"
    words = ["--ckpt", str(run), "--split", "test", "--out", str(out)]
    prototypes.main([*words, "--batches", "3", "--photos", "2"])
    assert "nearest prototype" in capsys.readouterr().out
    found = json.loads((out / "prototypes.json").read_text())
    assert found["batches"] == 3 and found["pixels"] > 0
    for of in found["labels"].values():
        for row, name in zip(of["confusion"], found["true_share"], strict=True):
            if found["true_share"][name]:
                assert sum(row) == pytest.approx(1)
    assert str(tmp_path) not in json.dumps(found)
    for name in ("confusion", "maps"):
        assert min(Image.open(out / f"{name}.png").size) > 100
    page = (out / "prototypes.html").read_text()
    assert "What prototypes are made of" in page and page.count("data:image/jpeg") == 2


def test_a_run_on_a_frozen_network_looks_by_it(tmp_path):
    frozen = network()
    method = {
        "name": "ppc",
        "backbone": "frozen",
        "affinity_from": "projection",
        "jitter": (0.0, 0.0, 0.0, 0.0),
        "min_pooling": 0.0,
        "cross_equivariance": 0.0,
        "small_view": 16,
    }
    method = kept.fitted(method, frozen.settings)
    made = attached(methods.make(method, 6), frozen)
    state = made.init(jax.random.key(0), made.look(batches.dense()))
    classes = ("background", "cross", "rings", "checker", "stripes", "dots")
    config = {"name": "small", "method": method, "data": DATA | MORE_DATA["dense"]}
    run = Run(tmp_path, 9, config, classes, made, *state)
    stream = prototypes.batches_of(run, "test", "")
    looker = prototypes.Looker.of(run)
    counts, photos = prototypes.measure(run, looker, stream, count=1, shown=2)
    stream.close()
    assert counts.results()["pixels"] == 2 * 2 * 2  # cells of 8 pixels of two photos
    assert photos[0].near.shape == (2, 2, 6) and photos[0].mask.shape == (32, 32)


def test_other_methods_have_no_prototypes(tmp_path):
    run = make_run(tmp_path, "segment")
    with pytest.raises(UserError, match="give a run of method 'ppc'"):
        prototypes.main(["--ckpt", str(run), "--split", "test", "--out", "none"])


def test_the_page_shows_what_was_found():
    page = study_table.PAGE.read_text()
    told = prototype_table.section(prototype_table.read())
    assert study_table.replaced(page, "preconditions", told) == page, (
        "write it again: python -m benchmarks.prototype_table"
    )
