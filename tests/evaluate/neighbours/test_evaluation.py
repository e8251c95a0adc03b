"""Photos labelled by the patches of others, by the command line and from weights."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from ppcjax import data_pipelines
from ppcjax.evaluate import EVALUATIONS, command, fitting
from ppcjax.evaluate.driver import evaluate
from ppcjax.evaluate.neighbours.evaluation import NeighbourSettings, enlarged
from ppcjax.evaluate.neighbours.memory import photos_of
from ppcjax.evaluate.protocol import Request
from ppcjax.runs import Run
from ppcjax.types import IGNORE, UserError
from tests.evaluate.neighbours.test_cells import run_of
from tests.small_methods import make

CLASSES = ("background", "red", "green")
COLOURS = np.array([[40, 40, 200], [220, 30, 30], [30, 220, 30]], np.uint8)
ENTRY = EVALUATIONS["neighbours"]


@pytest.fixture
def root(tmp_path):
    """Photos whose colours tell their classes; patches of 4 pixels are of one."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for i in range(6):
        mask = np.zeros((32, 48), np.uint8)
        mask[8:24, 12:36] = 1 + i % 2
        Image.fromarray(COLOURS[mask]).save(tmp_path / "data" / f"images/p{i}.png")
        mask[0] = IGNORE
        Image.fromarray(mask).save(tmp_path / "data" / f"masks/p{i}.png")
    (tmp_path / "data" / "classes.txt").write_text("\n".join(CLASSES))
    return tmp_path / "data"


def colour_run(root, folder):
    data = {"source": "folder", "root": str(root), "val_share": 0.34}
    data |= {"train_split": "train", "eval_split": "val"}
    config = {"name": "colours", "method": {"name": "features"}, "data": data}
    method = run_of(4).method
    return Run(folder, 0, config, CLASSES, method, {}, {})


def run_eval(run, out, request=None, **settings):
    settings = NeighbourSettings(**{"side": 32, "k": 3, "memory": 200} | settings)
    request = request or Request(export=str(out))
    plan = ENTRY.plan(run, settings, request, frozenset())
    return evaluate("neighbours", plan, settings, out)


def test_what_looks_the_same_is_the_same(root, tmp_path, capsys):
    found = run_eval(colour_run(root, tmp_path / "run"), tmp_path / "out")
    assert found["thresholds"]["fixed"]["mean_iou"] > 0.8
    assert found["images"] == found["images_with_masks"] == 2
    memory = found["memory"]
    assert (memory["split"], memory["photos"]) == ("train", 4)
    assert memory["patches"] == 4 * 50 and memory["cells"] == 8
    assert set(memory["patches_with"]) == set(CLASSES)
    assert memory["photos_per_second"] > 0 and memory["seconds"]["memory"] >= 0
    text = capsys.readouterr().out
    assert "memory: 200 patches of 4 photos of train" in text
    assert "photos/s" in text
    page = (tmp_path / "out" / "report.html").read_text()
    assert "200 patches of 4 photos of train" in page
    assert "photos/s" not in page  # a report is made again as it is
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 2


def test_the_same_seed_remembers_the_same_patches(root, tmp_path):
    run = colour_run(root, tmp_path / "run")
    patches = []
    for i, seed in enumerate((1, 1, 2)):
        found = run_eval(run, tmp_path / f"{i}", memory=40, seed=seed)
        patches.append(found["memory"]["patches_with"])
    assert patches[0] == patches[1] != patches[2]


def test_photos_are_not_compared_with_themselves(root, tmp_path):
    run = colour_run(root, tmp_path / "run")
    request = Request(export=str(tmp_path / "out"), split="all", limit=2)
    found = run_eval(run, tmp_path / "out", request, memory_split="all")
    assert found["images"] == 2 and found["memory"]["photos"] == 4
    request = Request(export=str(tmp_path / "out2"), split="all")
    with pytest.raises(UserError, match="all its photos are asked about"):
        run_eval(run, tmp_path / "out2", request)


def test_photos_of_ones_own(root, tmp_path):
    run = colour_run(root, tmp_path / "run")
    request = Request(export=str(tmp_path / "out"), images=str(root / "images"))
    found = run_eval(run, tmp_path / "out", request, memory_photos=3)
    assert found["images"] == 6 and found["memory"]["photos"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 3}, "--memory=3: fewer patches than the 4 photos"),
        ({"memory": 4, "k": 5}, "--k=5: the memory holds 4 patches"),
        ({"map": "none"}, "--map=none"),
        ({"side": 30}, "--side=30"),
    ],
)
def test_mistakes_are_one_line(settings, message, root, tmp_path):
    run = colour_run(root, tmp_path / "run")
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        run_eval(run, tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)


def test_photos_without_masks_cannot_be_remembered(root, tmp_path):
    run = colour_run(root, tmp_path / "run")
    data = {"source": "photos", "root": str(root / "images"), "val_share": 0.0}
    run = run._replace(classes=data_pipelines.make_source(data, "all").classes)
    with pytest.raises(UserError, match="none of its photos has a mask"):
        photos_of(run, data, "all", 0, ())


def test_maps_are_enlarged_between_the_centres_of_cells():
    cells = np.float32([[[0, 1], [1, 0]]])  # one row, two columns
    found = enlarged(cells, (3, 8))
    assert found.shape == (3, 8, 2) and found.dtype == np.float32
    row = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(found[..., 0], np.tile(row, (3, 1)), atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_which_evaluation_is_the_default_one():
    assert fitting(make("pixpro")) == ["features", "neighbours"]
    assert fitting(make("features")) == ["neighbours"]
    assert fitting(make("panet")) == ["episodes", "supports"]


def test_a_run_on_views_is_evaluated_so_where_it_is_asked_for(folder_of, tmp_path):
    out = tmp_path / "out"
    words = [f"--ckpt={folder_of('pixpro')}", f"--export={out}", "--limit=2"]
    command.main([*words, "--evaluation=neighbours", "--side=32", "--k=3"])
    found = json.loads((out / "metrics.json").read_text())
    assert found["evaluation"] == "neighbours" and found["images"] == 2
    assert found["memory"]["map"] == "feature" and found["memory"]["photos"] == 24


CONFIG = """
from ppcjax.configs import base

def get_config():
    c = base.get_config()
    c.name = "tiny"
    c.init_from = {weights!r}
    c.method = dict(name="features", backbone="small_resnet")
    c.method.backbone_settings = dict(width=4)
    c.data = dict(source="shapes", size=32, train_size=9, test_size=4)
    c.data.train_split, c.data.eval_split = "train", "test"
    c.eval = dict(side=32, k=3, gallery=1)
    return c
"""


def test_weights_are_evaluated_as_they_are(folder_of, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.format(weights=str(folder_of("pixpro"))))
    command.main([f"--config={config}"])
    out = tmp_path / "runs" / "tiny_untrained" / "eval-test"
    found = json.loads((out / "metrics.json").read_text())
    assert found["images"] == 4 and found["memory"]["photos"] == 9
    assert "few-shot" not in capsys.readouterr().out
    config.write_text(CONFIG.format(weights=""))
    with pytest.raises(UserError, match="config.init_from is empty") as caught:
        command.main([f"--config={config}"])
    assert "--ckpt" not in str(caught.value) and "\n" not in str(caught.value)
