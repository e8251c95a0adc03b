"""Runs on views, evaluated by the command line; pictures of correspondences."""

import contextlib
import io
import json
import re
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ppcjax import fields, methods
from ppcjax.evaluate import command
from ppcjax.evaluate.views import evaluation, page
from ppcjax.evaluate.views.metric import match
from ppcjax.runs import checkpoint
from ppcjax.types import Method, TrainState, UserError
from tests.evaluate.views.boxes import WHOLE, describe_places, example


def test_drawn_lines_are_blue_where_right():
    image = np.full((2, 32, 32, 3), 90, np.uint8)
    box = np.stack([WHOLE, WHOLE])
    good = describe_places(WHOLE, (4, 4))
    for maps, right in (((good, good), 16), ((good, good[::-1, ::-1]), 4)):
        drawn = page.draw(example(box, image), match(*maps, *box), side=100)
        picture = np.asarray(Image.open(io.BytesIO(drawn.jpeg))).astype(int)
        assert picture.shape == (100, 224, 3)
        assert (drawn.cells, drawn.right) == (16, right)
        gap = picture[:, 104:120]  # lines cross it, nothing else is there
        blue = (gap[..., 2] - gap[..., 0] > 60).sum()
        orange = (gap[..., 0] - gap[..., 2] > 60).sum()
        assert blue > 0 and (orange > 0) == (right < 16)


def colours(num_classes):
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


def run_eval(*words):
    command.main([str(word) for word in words])


class Sources(HTMLParser):
    found: list

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href")]


def test_run_on_views_is_evaluated(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "colours", colours)
    folder = save_run(tmp_path / "run")
    run_eval("--ckpt", folder)
    out = folder / "eval-val"
    found = json.loads((out / "metrics.json").read_text())
    assert (found["evaluation"], found["step"], found["split"]) == (
        "features",
        3,
        "val",
    )
    assert found["photos"] == 9 and set(found["maps"]) == {"embedding", "feature"}
    colour, flat = found["maps"]["embedding"], found["maps"]["feature"]
    assert colour["accuracy"] > 1.5 * colour["chance"] and flat["channel_std"] < 1e-6
    assert found["random"]["embedding"] == colour  # its weights never move
    assert len(list((out / "correspondences").glob("*.jpg"))) == 3
    text = (out / "report.html").read_text()
    shown = Sources()
    shown.found = []
    shown.feed(text)
    assert len([s for s in shown.found if s.startswith("data:image/jpeg")]) == 3
    assert all(source.startswith(("data:", "#")) for source in shown.found)
    assert not re.search(r"https?://|@import|\{\{|\bnan\b", text)
    assert "toy_views at step 3 on val: 9 photos" in capsys.readouterr().out
    run_eval("--ckpt", folder, "--limit", 5, "--export", tmp_path / "five")
    fewer = json.loads((tmp_path / "five/metrics.json").read_text())
    assert fewer["photos"] == 5 and (tmp_path / "five/report.html").is_file()


def test_photos_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "colours", colours)
    folder = save_run(tmp_path / "run", random=False)
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(noise).resize((60, 50)).save(photos / "mine.png")
    (photos / "broken.jpg").write_bytes(b"no")
    of_photos = ("--ckpt", folder, "--images", photos)
    with pytest.raises(UserError, match="broken.jpg: cannot be read"):
        run_eval(*of_photos)
    run_eval(*of_photos, "--on_bad_image=skip")
    found = json.loads((folder / "eval-images/metrics.json").read_text())
    assert found["photos"] == 1 and list(found["skipped"]) == ["broken"]
    assert found["random"] == {}
    (photos / "mine.png").unlink()
    with pytest.raises(UserError, match="none of its photos can be used"):
        run_eval(*of_photos, "--on_bad_image=skip")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0.3}, "config.eval.threshold is not a setting of views"),
        ({"photos": -1}, "config.eval.photos=-1"),
        ({"batch_size": 0}, "config.eval.batch_size=0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(UserError, match=message):
        fields.build(
            evaluation.ViewSettings, settings, where="config.eval", what="views"
        )
