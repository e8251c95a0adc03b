"""Photos segmented by examples on weights as they are, without a training step."""

import json
import re

import jax
import numpy as np
import pytest
from PIL import Image

from ppcjax.configs import asgnet_shapes, panet_shapes, ppc_shapes
from ppcjax.evaluate import command
from ppcjax.predict import supports as fewshot
from ppcjax.types import UserError
from tests import few_shot

CONFIG = """
from ppcjax.configs import panet_shapes


def get_config():
    c = panet_shapes.get_config()
    c.name = "tiny"
    c.method.backbone_settings = dict(width=4)
    c.data.crop = 32
    c.init_from = {weights!r}
    return c
"""


@pytest.fixture
def config(tmp_path, folder_of):
    """A config that starts from the weights of a tiny network."""
    file = tmp_path / "tiny.py"
    file.write_text(CONFIG.format(weights=str(folder_of("panet"))))
    return file


def test_examples_and_photos_are_all_that_is_needed(
    config, run_of, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    root = few_shot.write_supports(tmp_path / "supports")
    words = [f"--config={config}", f"--support={root}", f"--images={root / 'images'}"]
    command.main(words)
    said = capsys.readouterr().out
    for part in ("not trained for few-shot: panet", "examples: ", "cat in 1"):
        assert part in said
    out = tmp_path / "runs" / "tiny_untrained" / "eval-images"
    assert [file.name for file in out.parent.iterdir()] == ["eval-images"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert "not trained for few-shot" in metrics["stages"]
    assert re.search(r"below a similarity of 0\.\d\d to cat", metrics["stages"])
    assert any("cat in 1" in line for line in metrics["examples"]["text"])
    assert "cat in 1" in (out / "report.html").read_text()
    loaded = fewshot.load(out / "prototypes.npz")
    assert loaded.run.untrained
    expected = run_of("panet")
    for ours, theirs in zip(
        jax.tree.leaves(loaded.run.params),
        jax.tree.leaves(expected.params),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    mask = np.asarray(Image.open(out / "masks" / "p2.png"))
    np.testing.assert_array_equal(loaded.predict(root / "images" / "p2.jpg"), mask)


_PANET = {"name": "a", "method": {"name": "panet"}, "data": {"crop": 9}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "holds no config"),
        ({"name": "a"}, "config.method is missing"),
        ({"name": "a", "method": {"name": "panet"}}, "names no weights"),
        (_PANET | {"init_from": "http://b"}, "names no weights"),
        (_PANET | {"init_from": "imagenet,hf://a/b"}, "names no weights"),
        (_PANET | {"init_from": ["http://b"]}, "config.init_from"),
        (_PANET | {"init_from": "./no such file.pth"}, "does not exist"),
    ],
)
def test_file_of_a_stranger_asks_no_address(config, message, tmp_path):
    meta = {"run": "runs/a", "step": 0, "names": ["a"], "size": 9, "config": config}
    np.savez(tmp_path / "p.npz", meta=json.dumps(meta), prototypes=np.zeros((1, 2, 3)))
    with pytest.raises(UserError, match=message) as caught:
        fewshot.load(tmp_path / "p.npz")
    assert "\n" not in str(caught.value)


def test_similarity_may_be_given(config, tmp_path):
    root, out = few_shot.write_supports(tmp_path / "supports"), tmp_path / "out"
    words = [f"--config={config}", f"--support={root}", f"--images={root / 'images'}"]
    command.main([*words, f"--export={out}", "--none_of_these=1", "--limit=1"])
    assert fewshot.load(out / "prototypes.npz").least == (1.0, 1.0)
    masks = [np.asarray(Image.open(file)) for file in (out / "masks").iterdir()]
    assert masks and not any(mask.any() for mask in masks)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (asgnet_shapes, "needs training .its "),
        (ppc_shapes, "needs training .it learns from a data set"),
        (panet_shapes, "config.init_from is empty"),
    ],
)
def test_network_that_is_nothing_without_training_is_one_line(module, message):
    with pytest.raises(UserError, match=message) as caught:
        fewshot.untrained(module.get_config())
    assert "\n" not in str(caught.value)


def test_similarity_is_refused_where_scores_are_none(run_of, tmp_path):
    root, out = few_shot.write_supports(tmp_path / "supports"), tmp_path / "out"
    run = run_of("asgnet")
    words = [f"--ckpt={run.folder}", f"--support={root}", f"--images={root / 'images'}"]
    (root / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(UserError, match="asgnet") as caught:
        command.main([*words, f"--export={out}", "--none_of_these=0.5"])
    assert "\n" not in str(caught.value) and not out.exists()
