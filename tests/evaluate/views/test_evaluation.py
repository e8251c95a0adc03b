"""The evaluation of methods on views, from a run to its files."""

import contextlib
import json
import re
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ppcjax import methods
from ppcjax.evaluate import command
from ppcjax.runs import checkpoint
from ppcjax.types import Method, TrainState, UserError


def colours(width=None):
    """A method without parameters to speak of that describes cells by their colour."""

    def init(key, batch):
        assert batch["image"].shape[1] == 2
        return {"gain": np.ones(1, np.float32)}, {}

    def predict(params, model_state, batch):
        image = batch["image"].astype(jnp.float32)
        cells = image.reshape(len(image), 4, 4, 4, 4, 3).mean((2, 4))
        centred = cells - cells.mean((1, 2), keepdims=True)
        flat = jnp.ones((*cells.shape[:3], 2)) * params["gain"][None, None, None]
        return {"embedding": centred, "feature": flat}

    return Method(init, None, predict, reads="views", gives="features")


DATA = {
    "source": "shapes",
    "size": 48,
    "val_size": 9,
    "train_split": "train",
    "eval_split": "val",
    "batch_size": 4,
    "crop": 16,
    "scale": (0.3, 1.0),
    "ratio": (0.75, 1.3333),
}


def save_run(folder, **evaluation):
    config = {
        "name": "toy_views",
        "seed": 0,
        "method": {"name": "colours"},
        "data": DATA,
        "eval": {"batch_size": 4, "gallery": 3, **evaluation},
    }
    classes = ("background", "cross", "rings", "checker", "stripes", "dots")
    saver = checkpoint.Checkpoints(
        folder, keep=1, config=json.loads(json.dumps(config)), classes=classes
    )
    with contextlib.closing(saver):
        state = TrainState(np.int32(3), {"gain": np.ones(1, np.float32)}, {}, ())
        saver.save(state, 3)
        saver.wait()
    return folder


def evaluate(folder, out, *words):
    command.main(["--ckpt", str(folder), "--export", str(out), *words])
    return json.loads((out / "metrics.json").read_text())


class Sources(HTMLParser):
    found: list

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href")]


def test_run_on_views_is_evaluated(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "colours", lambda num_classes: colours())
    folder = save_run(tmp_path / "run")
    out = folder / "eval-val"
    found = evaluate(folder, out)
    assert found["photos"] == 9 and set(found["maps"]) == {"embedding", "feature"}
    colour, flat = found["maps"]["embedding"], found["maps"]["feature"]
    assert colour["accuracy"] > 1.5 * colour["chance"] and flat["channel_std"] < 1e-6
    assert found["random"]["embedding"] == colour  # its weights never move
    assert len(list((out / "correspondences").glob("*.jpg"))) == 3
    text = (out / "report.html").read_text()
    page = Sources()
    page.found = []
    page.feed(text)
    assert len([s for s in page.found if s.startswith("data:image/jpeg")]) == 3
    assert all(source.startswith("data:") for source in page.found)
    assert not re.search(r"https?://|@import|\{\{|\bnan\b", text)
    assert "toy_views at step 3 on val: 9 photos" in capsys.readouterr().out
    fewer = evaluate(folder, tmp_path / "five", "--limit=5")
    assert fewer["photos"] == 5 and (tmp_path / "five/report.html").is_file()


def test_photos_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "colours", lambda num_classes: colours())
    folder = save_run(tmp_path / "run", random=False)
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(noise).resize((60, 50)).save(photos / "mine.png")
    (photos / "broken.jpg").write_bytes(b"no")
    with pytest.raises(UserError, match="broken.jpg: cannot be read"):
        evaluate(folder, tmp_path / "out", f"--images={photos}")
    skipping = (f"--images={photos}", "--on_bad_image=skip")
    found = evaluate(folder, tmp_path / "out", *skipping)
    assert found["photos"] == 1 and list(found["skipped"]) == ["broken"]
    assert found["random"] == {}
    (photos / "mine.png").unlink()
    with pytest.raises(UserError, match="none of its photos can be used"):
        evaluate(folder, tmp_path / "out", *skipping)
