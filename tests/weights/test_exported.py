"""Exported predictors say what their runs say: alone, opened again, evaluated."""

import json
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from PIL import Image

import ppcjax
from ppcjax import methods
from ppcjax.evaluate import command
from ppcjax.nn.backbones import BACKBONES
from ppcjax.predict.export import export_model
from ppcjax.predict.export.card import LOADER
from ppcjax.predict.export.predictor import MODEL, PLATFORMS
from ppcjax.predict.export.scores import scorer
from ppcjax.runs.ours import Folder
from ppcjax.types import UserError
from tests import batches
from tests.small_methods import make
from tests.weights.exports import exported, folder_of, noise, run_of  # noqa: F401
from tests.weights.exports import scores_of_run as scores_of

# A method of each kind that needs something else beside a photo.
OTHERS = {make(name).gives: name for name in methods.METHODS}
OTHERS = {gives: OTHERS[gives] for gives in OTHERS.keys() - {"maps", "logits"}}


@pytest.mark.parametrize(
    "name",
    [
        "segment",
        pytest.param("ppc", marks=pytest.mark.slow),
        pytest.param("contrastive_seg", marks=pytest.mark.slow),
    ],
)
def test_the_program_gives_the_scores_of_the_run(exported, run_of, name):  # noqa: F811
    """Three of odd sizes in a batch; one alone is run by the next test."""
    run = run_of(name)
    content = (exported(name) / "model.jaxexp").read_bytes()
    program = export.deserialize(bytearray(content))
    sizes = np.int32([[41, 57], [45, 63], [47, 58]])
    images = noise(3, 47, 63)
    found = np.asarray(jax.jit(program.call)(images, sizes)["scores"])
    assert found.shape == (3, 47, 63, 6) and found.dtype == np.float32
    assert (found[..., 0] == 0).all() and (found[0, 41:] == 0).all()
    parts = [(slice(rows), slice(columns)) for rows, columns in sizes]
    wanted = scores_of(run, *(image[p] for image, p in zip(images, parts, strict=True)))
    for scores, part, want in zip(found, parts, wanted, strict=True):
        np.testing.assert_allclose(scores[part], want, atol=1e-5)


def test_the_program_runs_in_a_fresh_interpreter_with_jax_alone(
    exported,  # noqa: F811
    run_of,  # noqa: F811
    tmp_path,
):
    """By the lines of the model card."""
    folder, image = exported("segment"), noise(41, 57)
    Image.fromarray(image).save(tmp_path / "photo.png")
    text = (folder / "README.md").read_text()
    lines = re.search(r"```python\n(import json.*?)```", text, re.DOTALL)[1]
    assert lines == LOADER and len(lines.splitlines()) < 15
    lines = lines.replace("EXPORT", str(folder)).replace(".jpg", ".png")
    lines += "np.save('scores.npy', scores)"
    blocked = "import sys; sys.modules |= dict.fromkeys(['ppcjax', 'flax', 'orbax'])\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + lines],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    scores = np.load(tmp_path / "scores.npy")
    np.testing.assert_allclose(
        scores, scores_of(run_of("segment"), image)[0], atol=1e-5
    )
    mask = np.where(scores.max(-1) > 0.5, scores.argmax(-1), 0)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), mask)


def test_it_opens_as_a_predictor_with_all_that_a_run_has(exported, folder_of):  # noqa: F811
    """Mirrors and tags, too, which the program alone has not."""
    image = noise(24, 40)
    ours = ppcjax.load(folder_of("ppc"))
    again = ppcjax.load(exported("ppc") / "model.jaxexp")
    assert again.classes == ours.classes and again.threshold == ours.threshold
    one, two = (loaded.predict(image, tags=["dots"]) for loaded in (ours, again))
    np.testing.assert_allclose(two.scores, one.scores, atol=1e-5)
    assert two.tags == one.tags == ("dots",)
    assert (two.mask == one.mask).mean() > 0.99


def test_it_is_evaluated_as_a_run(exported, folder_of, tmp_path):  # noqa: F811
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(noise(24, 40)).save(photos / "a.png")
    for folder in (exported("segment"), folder_of("segment")):
        words = [f"--ckpt={folder}", f"--images={photos}"]
        command.main([*words, f"--export={tmp_path / folder.parent.name}"])
    one, two = (
        tmp_path / folder.parent.name
        for folder in (exported("segment"), folder_of("segment"))
    )
    masks = [np.asarray(Image.open(out / "masks" / "a.png")) for out in (one, two)]
    assert (masks[0] == masks[1]).mean() > 0.99
    record = json.loads((one / "provenance.json").read_text())
    assert record["checkpoint"] == {"run": str(exported("segment")), "step": 7}
    assert record["command"].startswith("python eval.py --ckpt=")
    assert (one / "report.html").is_file()


@pytest.mark.parametrize("name", sorted(OTHERS.values()))
def test_only_what_segments_by_itself_is_exported(name, folder_of, tmp_path):  # noqa: F811
    with pytest.raises(
        UserError, match="does not segment photos by itself; "
    ) as caught:
        command.main([f"--ckpt={folder_of(name)}", f"--export_model={tmp_path / 'x'}"])
    assert "\n" not in str(caught.value) and not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--export_model="], "needs a folder"),
        (["--export_model=x", "--onnx_size=32,32"], "give --onnx, too"),
        (["--export_model=x", "--onnx", "--onnx_size=32"], "--onnx_size='32': give"),
        (["--export_model=x", "--crf=k1"], "--crf is no option of --export_model"),
        (["--export_model=thesis"], "thesis.txt, which ppcjax did not write"),
        (["--export_model=thesis/thesis.txt"], "no folder"),
    ],
)
def test_mistakes_are_one_line(words, message, folder_of, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match=message) as caught:
        command.main([f"--ckpt={folder_of('segment')}", *words])
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_an_export_is_replaced_and_nothing_else(exported, folder_of, tmp_path, capsys):  # noqa: F811
    shutil.copytree(exported("ppc"), tmp_path / "out")
    words = [f"--ckpt={folder_of('segment')}", f"--export_model={tmp_path / 'out'}"]
    (tmp_path / "out" / "eval-test").mkdir()
    with Folder(tmp_path / "out", MODEL) as before:
        before.write("model.onnx", b"of before")
    capsys.readouterr()  # what the fixtures may say
    command.main(words)
    first, second = capsys.readouterr().out.splitlines()
    assert "model.jaxexp: 0.1 MB, JAX" in first and "README.md" in second
    assert not (tmp_path / "out" / "model.onnx").exists()
    note = json.loads((tmp_path / "out" / "model.json").read_text())
    assert note["method"] == "segment"
    with pytest.raises(UserError, match="is what would be exported"):
        command.main([f"--ckpt={tmp_path / 'out'}", words[1]])
    with pytest.raises(UserError, match="of another kind|did not write"):
        command.main([words[0], f"--export_model={folder_of('ppc')}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_takes_images_of_any_size(name):
    """Traced with weights as arguments, which are not there."""
    config = {"name": "segment", "backbone": name, "head": "v2"}
    method = methods.make(config, 3)
    state = method.init(jax.random.key(0), batches.KINDS["dense"]())
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    b, h, w = export.symbolic_shape("b, h, w")
    image = jax.ShapeDtypeStruct((b, h, w, 3), np.uint8)
    size = jax.ShapeDtypeStruct((b, 2), np.int32)

    def score(state, image, size):
        return scorer(method, *state)(image, size)["scores"]

    program = export.export(jax.jit(score), platforms=PLATFORMS)(state, image, size)
    assert program.out_avals[0].shape == (b, h, w, 3)


def test_a_network_that_asks_for_sizes_is_one_line(run_of, tmp_path):  # noqa: F811
    run = run_of("segment")

    def predict(params, model_state, batch):
        rows = batch["image"].shape[1]
        return run.method.predict(params, model_state, batch) if rows > 99 else {}

    small = run._replace(method=run.method._replace(predict=predict))
    stride = {"logits": jnp.zeros((1, 64, 64, 6))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppcjax.predict.tta._output_spec", lambda *_: stride)
        with pytest.raises(UserError, match="for images of any size") as caught:
            export_model(small, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_it_can_be_exported_again(exported, tmp_path):  # noqa: F811
    """Of a program, whose weights are inside."""
    command.main([f"--ckpt={exported('segment')}", f"--export_model={tmp_path / 'b'}"])
    ours, again = (
        export.deserialize(bytearray((folder / "model.jaxexp").read_bytes()))
        for folder in (exported("segment"), tmp_path / "b")
    )
    image, size = noise(1, 9, 12), np.int32([[9, 12]])
    one, two = (jax.jit(p.call)(image, size)["scores"] for p in (ours, again))
    np.testing.assert_allclose(one, two, atol=1e-6)
