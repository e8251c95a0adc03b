"""Correspondences of two views: geometry, scores, pictures, and the command line's."""

import contextlib
import io
import json
import re
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from ppcjax.data_pipelines import views
from ppcjax.data_pipelines.crops import crop_box, draw_crop
from ppcjax.data_pipelines.order import Draws

from ppcjax import methods
from ppcjax.evaluate.masks.metric import add_counts
from ppcjax.evaluate.views import main as correspondence_main
from ppcjax.evaluate.views import page as correspondence_page
from ppcjax.evaluate.views.metric import alignment, match, true_places, unit
from ppcjax.runs import checkpoint
from ppcjax.types import Method, TrainState, UserError

WHOLE = np.float32([0, 0, 1, 1])


def random_boxes(count, seed=0):
    sizes = {"scale": (0.3, 1.0), "ratio": (0.75, 1.33)}
    return np.stack(
        [
            [crop_box(draw_crop(200, 300, draws, **sizes), 200, 300) for _ in range(2)]
            for draws in (Draws(seed, i) for i in range(count))
        ]
    )


def describe_places(box, grid):
    """[h, w, D] of unit norm: alike where cells are near each other in the photo."""
    x = box[0] + (np.arange(grid[1]) + 0.5) / grid[1] * (box[2] - box[0])
    y = box[1] + (np.arange(grid[0]) + 0.5) / grid[0] * (box[3] - box[1])
    knots = np.linspace(-0.1, 1.1, 24)
    near_x, near_y = (
        np.exp(-((v[:, None] - knots) ** 2) / 0.006).astype(np.float32) for v in (x, y)
    )
    both = near_y[:, None, :, None] * near_x[None, :, None, :]
    return unit(both.reshape(*grid, -1))


def example(box, image=None):
    image = np.zeros((2, 8, 8, 3), np.uint8) if image is None else image
    return views.PairExample("a/photo", views.Pair(image, np.float32(box)))


def score(pairs, name="embedding"):
    metric, counts = alignment(name), None
    for maps, box in pairs:
        counts = add_counts(counts, metric.count({name: maps}, example(box)))
    return metric.summarize(counts)


def test_places_of_known_boxes():
    same = true_places(WHOLE, (3, 4), WHOLE, (3, 4))
    rows, columns = np.divmod(np.arange(12), 4)
    np.testing.assert_allclose(same, np.stack([rows, columns], 1), atol=1e-6)
    mirrored = true_places(WHOLE, (3, 4), WHOLE[[2, 1, 0, 3]], (3, 4))
    np.testing.assert_allclose(mirrored, np.stack([rows, 3 - columns], 1), atol=1e-6)
    # The right half, whose first column begins where the photo's third does.
    half = true_places(WHOLE, (3, 4), np.float32([0.5, 0, 1, 1]), (3, 4))
    np.testing.assert_allclose(half[:4, 1], [-3.5, -1.5, 0.5, 2.5], atol=1e-6)
    assert np.isinf(true_places(WHOLE, (2, 2), WHOLE[[0, 1, 0, 3]], (2, 2))[:, 1]).all()


def test_descriptions_of_places_are_matched():
    found = score(
        (np.stack([describe_places(b, (7, 7)) for b in box]), box)
        for box in random_boxes(30)
    )
    assert found["pairs"] == 30 and found["accuracy"] > 0.99
    assert 0.06 < found["chance"] < 0.1  # about 4 cells of 49
    assert found["true_cosine"] > 0.7 > found["other_cosine"] + 0.4
    assert found["cosine_within"] > found["cosine_between"]


def test_noise_is_matched_by_chance_and_looks_healthy():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((60, 2, 7, 7, 64))
    found = score(zip(maps, random_boxes(60), strict=True))
    assert abs(found["accuracy"] - found["chance"]) < 0.02
    assert abs(found["channel_std"] / found["healthy_std"] - 1) < 0.02
    assert abs(found["cosine_between"]) < 0.01 and abs(found["cosine_within"]) < 0.01


def test_collapse_is_seen():
    maps = np.ones((5, 2, 4, 4, 8))
    found = score(zip(maps, random_boxes(5), strict=True))
    assert found["channel_std"] < 1e-6
    for name in ("cosine_between", "cosine_within", "true_cosine", "other_cosine"):
        assert found[name] == pytest.approx(1, abs=1e-6)


def test_views_that_share_nothing_leave_scores_undefined():
    box = np.float32([[0, 0, 0.2, 0.2], [0.5, 0.5, 1, 1]])
    found = score([(np.random.default_rng(0).standard_normal((2, 3, 3, 4)), box)])
    assert found["cells"] == 0 and np.isnan(found["accuracy"])
    assert np.isnan(found["cosine_between"])  # one photo
    zero = score([(np.zeros((2, 3, 3, 4)), np.stack([WHOLE, WHOLE]))])
    assert zero["cells"] == 18 and zero["true_cosine"] == 0


def test_counts_of_parts_add_up():
    rng = np.random.default_rng(1)
    pairs = list(
        zip(rng.standard_normal((6, 2, 3, 3, 5)), random_boxes(6), strict=True)
    )
    metric = alignment()
    whole = [metric.count({"embedding": m}, example(b)) for m, b in pairs]
    one, two, three = None, None, None
    for counts in whole:
        one = add_counts(one, counts)
    for counts in whole[:2]:
        two = add_counts(two, counts)
    for counts in whole[2:]:
        three = add_counts(three, counts)
    apart = metric.summarize(add_counts(two, three))
    assert metric.summarize(one) == pytest.approx(apart)


def test_means_of_cosines_are_those_of_all_pairs():
    rng = np.random.default_rng(2)
    maps = rng.standard_normal((3, 2, 2, 2, 5)) + 0.5
    found = score(zip(maps, random_boxes(3), strict=True))
    vectors = unit(maps).reshape(3, 8, 5)
    cosines = np.einsum("aid,bjd->abij", vectors, vectors)
    other, own = ~np.eye(3, dtype=bool), ~np.eye(8, dtype=bool)
    assert found["cosine_between"] == pytest.approx(cosines[other].mean(), abs=1e-5)
    within = np.mean([cosines[n, n][own].mean() for n in range(3)])
    assert found["cosine_within"] == pytest.approx(within, abs=1e-5)


def test_drawn_lines_are_green_where_right():
    image = np.full((2, 32, 32, 3), 90, np.uint8)
    box = np.stack([WHOLE, WHOLE])
    good = describe_places(WHOLE, (4, 4))
    for maps, right in (((good, good), 16), ((good, good[::-1, ::-1]), 4)):
        drawn = correspondence_page.draw(
            example(box, image), match(*maps, *box), side=100
        )
        picture = np.asarray(Image.open(io.BytesIO(drawn.jpeg))).astype(int)
        assert picture.shape == (100, 224, 3)
        assert (drawn.cells, drawn.right) == (16, right)
        gap = picture[:, 104:120]  # lines cross it, nothing else is there
        green = (gap[..., 1] - gap[..., 0] > 60).sum()
        red = (gap[..., 0] - gap[..., 1] > 60).sum()
        assert green > 0 and (red > 0) == (right < 16)


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

    return Method(init, lambda *arguments: None, predict)


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


class Sources(HTMLParser):
    found: list

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href")]


def test_run_on_views_is_evaluated(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "colours", lambda num_classes: colours())
    folder = save_run(tmp_path / "run")
    found = correspondence_main.main(folder)
    out = folder / "eval-val"
    assert json.loads((out / "metrics.json").read_text()) == found
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
    fewer = correspondence_main.main(folder, limit=5, export=tmp_path / "five")
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
        correspondence_main.main(folder, images=str(photos))
    found = correspondence_main.main(folder, images=str(photos), on_bad_image="skip")
    assert found["photos"] == 1 and list(found["skipped"]) == ["broken"]
    assert found["random"] == {}
    (photos / "mine.png").unlink()
    with pytest.raises(UserError, match="none of its photos can be used"):
        correspondence_main.main(folder, images=str(photos), on_bad_image="skip")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 0.3}, "config.eval.threshold is not a setting of evaluation on"),
        ({"photos": -1}, "config.eval.photos=-1"),
        ({"batch_size": 0}, "config.eval.batch_size=0"),
    ],
)
def test_wrong_settings(fields, message):
    with pytest.raises(UserError, match=message):
        correspondence_main.ViewEvaluation.of(fields)
