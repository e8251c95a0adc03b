"""Options on their way from the command line to results."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from ppcjax import methods
from ppcjax.evaluate import command
from ppcjax.nn.resnet import ResNet
from ppcjax.types import UserError


@pytest.mark.parametrize("name", list(methods.METHODS))
def test_wrong_value_of_any_option_is_one_line_before_anything_is_written(
    name, run_of, folder_of, monkeypatch, tmp_path
):
    run, out = run_of(name), tmp_path / "out"
    monkeypatch.setattr(command.opening, "open_any", lambda *_: run)
    words = ["--ckpt", str(folder_of(name)), f"--export={out}"]
    for evaluation in command.fitting_names(run):
        for option in command.options_of(evaluation, run):
            wrong = f"--{option}=a\0b"
            with pytest.raises(UserError) as caught:
                command.main([*words, f"--evaluation={evaluation}", wrong])
            assert str(caught.value).startswith(f"--{option}=")
            assert "\n" not in str(caught.value)
    assert not out.exists()


def test_mean_is_over_the_classes_that_are_asked_for(folder_of, tmp_path):
    words = ["--ckpt", str(folder_of("segment") / "checkpoints" / "7")]
    words += ["--export", str(tmp_path), "--limit", "3", "--noscores"]
    command.main([*words, "--report_classes", "dots,stripes"])
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["report_classes"] == ["dots", "stripes"] and found["images"] == 3
    row = found["thresholds"]["fixed"]
    iou = dict(zip(found["classes"], row["class_iou"], strict=True))
    expected = np.nanmean(np.array([iou["dots"], iou["stripes"]], float))
    assert row["mean_iou"] == pytest.approx(expected)
    assert not (tmp_path / "scores").exists()


def test_words_of_an_option_may_be_joined_by_dashes(folder_of, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(photos / "good.png")
    (photos / "broken.jpg").write_bytes(b"not an image")
    words = ["--ckpt", str(folder_of("segment")), f"--images={photos}"]
    words += ["--export", str(out)]
    with pytest.raises(UserError, match="broken.jpg"):
        command.main([*words, "--on-bad-image", "stop"])
    command.main([*words, "--on-bad-image=skip"])
    found = json.loads((out / "metrics.json").read_text())
    assert found["images"] == 1 and list(found["skipped"]) == ["broken"]


@pytest.mark.parametrize(
    ("names", "first"),
    [([], "conv1.weight"), (["--names", "detectron2"], "stem.conv1.weight")],
)
def test_backbone_is_exported_under_the_names_asked_for(
    names, first, run_of, folder_of, monkeypatch, tmp_path, capsys
):
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(ResNet(18).init, jax.random.key(0), image)
    drawn = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    run = run_of("segment")._replace(
        params={"backbone": drawn["params"]},
        model_state={"batch_stats": {"backbone": drawn["batch_stats"]}},
    )
    monkeypatch.setattr(command.opening, "open_any", lambda *_: run)
    file = tmp_path / "backbone.safetensors"
    words = ["--ckpt", str(folder_of("segment")), "--export_backbone", str(file)]
    command.main([*words, *names])
    assert load_file(file)[first].shape == (64, 3, 7, 7)
    assert "100 arrays of" in capsys.readouterr().out
    assert [*tmp_path.iterdir()] == [file]
