"""Files of weights behind --ckpt, and the config that says what they are of."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from ppcjax import methods
from ppcjax.evaluate import command, opening
from ppcjax.types import UserError
from ppcjax.weights.arrays import whole_arrays
from ppcjax.weights.writers import write_network

CONFIG = """
from ppcjax.configs import ppc_shapes


def get_config():
    c = ppc_shapes.get_config()
    c.method.backbone_settings = dict(width=4)
    c.method.projection = 8
    return c
"""


def test_words_about_the_config_are_told_from_others():
    words = ["--ckpt=a", "--config", "c.py", "--limit", "3", "--config.x=1"]
    of_config, rest = opening.split([*words, "--config.y", "2"])
    assert of_config == ["--config", "c.py", "--config.x=1", "--config.y", "2"]
    assert rest == ["--ckpt=a", "--limit", "3"]
    assert opening.read_config([]) is None


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def file(tmp_path, config):
    """A network of the config as a file that tells nothing of it."""
    values = opening.read_config([f"--config={config}"])
    method = methods.make(values["method"], 6)
    arrays, _ = whole_arrays("ppc", *method.init(jax.random.key(0), {}))
    save_file({f"module.{n}": a for n, a in arrays.items()}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_a_file_is_evaluated_with_a_config(file, config, tmp_path, capsys):
    out = tmp_path / "out"
    words = [f"--ckpt={file}", f"--config={config}", "--config.eval.scales=(1.0,)"]
    command.main([*words, "--split=val", "--limit=2", f"--export={out}"])
    assert "loaded   network" in capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["images"] == 2 and len(list((out / "masks").iterdir())) == 2


def test_an_exported_network_needs_no_config(run_of, tmp_path, capsys):
    run = run_of("segment")
    file = tmp_path / "net.safetensors"
    write_network(file, run)
    opened = opening.open_any(str(file), None)
    assert opened.config == json.loads(json.dumps(run.config))
    assert opened.classes == run.classes
    for ours, theirs in zip(
        jax.tree.leaves((opened.params, opened.model_state)),
        jax.tree.leaves((run.params, run.model_state)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the config of the network"),
        (["--config=configs/nope.py"], "configs/nope.py: no such file"),
        (["--config=configs/panet_shapes.py"], "where the network has"),
        (["--config.steps=3"], "is missing beside it"),
    ],
)
def test_mistakes_are_one_line(words, message, file):
    with pytest.raises(UserError, match=message) as caught:
        command.main([f"--ckpt={file}", *words])
    assert "\n" not in str(caught.value)


def test_a_run_has_its_own_config(folder_of):
    with pytest.raises(UserError, match="has its own config"):
        command.main([f"--ckpt={folder_of('ppc')}", "--config=configs/ppc_voc.py"])


@pytest.mark.parametrize(
    "note",
    [
        {"config": "{}", "classes": "[]", "step": "0"},
        {"config": '{"name": "a", "method": 3, "data": {}}', "classes": "[]"},
        {"config": "[1]", "classes": '["a"]', "step": "1"},
        {"config": "{", "classes": "[]", "step": "1"},
        {"config": "{}", "classes": "{}", "step": "many"},
    ],
)
def test_a_header_that_lies_is_one_line(note, tmp_path):
    file = tmp_path / "net.safetensors"
    save_file({"a": np.zeros(1, np.float32)}, file, note)
    with pytest.raises(UserError, match="its header holds no config") as caught:
        opening.open_any(str(file), None)
    assert "\n" not in str(caught.value)
