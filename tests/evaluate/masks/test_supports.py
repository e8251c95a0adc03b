"""Photos segmented by masked examples, on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from ppcjax.evaluate import command
from ppcjax.predict import supports as fewshot
from ppcjax.types import UserError
from tests import few_shot


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return few_shot.train(tmp_path_factory.mktemp("runs") / "panet")


def segment(run, out, **options):
    words = [f"--{name}={value}" for name, value in options.items()]
    command.main(["--ckpt", str(run), "--export", str(out), *words])


def test_folder_is_segmented(run, tmp_path, capsys):
    root, out = few_shot.write_supports(tmp_path / "supports"), tmp_path / "out"
    segment(run, out, support=root, images=root / "images")
    assert "evaluation 'supports'" in capsys.readouterr().out
    mask = np.asarray(Image.open(out / "masks" / "p2.png"))
    assert mask.shape == (20, 30) and mask.max() <= 2
    assert (out / "classes.txt").read_text() == "background\ncat\ndog\n"
    loaded = fewshot.load(out / "prototypes.npz")
    assert loaded.names == ("cat", "dog")
    photo = root / "images" / "p2.jpg"
    np.testing.assert_array_equal(loaded.predict(photo), mask)
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["evaluation"], metrics["images"]) == ("supports", 3)
    assert metrics["classes"] == ["background", "cat", "dog"]
    assert "learnt from 3 examples" in metrics["stages"]
    assert (out / "report.html").read_text().count('class="tile"') == 3


def test_crf_and_limit_follow(run, tmp_path):
    root, out = few_shot.write_supports(tmp_path / "supports"), tmp_path / "out"
    segment(run, out, support=root, images=root / "images", crf="k1", limit=2, size=48)
    assert len(list((out / "masks").iterdir())) == 2
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["stages"].endswith("dense CRF k1")
    assert fewshot.load(out / "prototypes.npz").size == 48


@pytest.mark.parametrize("given", ["support", "images"])
def test_examples_and_photos_belong_together(run, tmp_path, given):
    root = few_shot.write_supports(tmp_path / "supports")
    place = {"support": root, "images": root / "images"}[given]
    with pytest.raises(UserError, match="with both --support=EXAMPLES and"):
        segment(run, tmp_path / "out", **{given: place})
