import itertools

import numpy as np
import pytest

from ppcjax import data_pipelines
from ppcjax.data_pipelines.episodes import plans, training
from ppcjax.data_pipelines.episodes.arrays import Evidence
from ppcjax.data_pipelines.episodes.examples import make_eval
from ppcjax.data_pipelines.episodes.folds import class_ids, fold_ids
from ppcjax.data_pipelines.episodes.training import (
    EpisodeSettings,
    leak_report,
    training_index,
)
from ppcjax.data_pipelines.order import Draws
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data

DATA = {
    "source": "shapes",
    "size": 32,
    "train_size": 60,
    "way": 1,
    "shot": 2,
    "novel": ("stripes", "dots"),
    "batch_size": 2,
    "crop": 32,
}
BOTH = Evidence(support_void="background", other_ways="background")


@pytest.fixture(scope="module")
def source():
    return data_pipelines.make_source(DATA, "train")


@pytest.fixture(scope="module")
def counts(source):
    return plans.count_pixels(source)


def _index(source, counts, classes=(1, 2, 3), **settings):
    return plans.class_index(source, counts, classes, **settings)


class TestPlans:
    @pytest.mark.parametrize("sampling", plans.SAMPLINGS)
    def test_rows_show_their_classes(self, source, counts, sampling):
        index, shape = _index(source, counts), plans.Shape(1, 3, 1)
        plan = plans.draw_plan(index, shape, episodes=40, seed=5, sampling=sampling)
        assert plan.shape == (40, 1 + 3 + 1) and plan.dtype == np.int32
        for values in plan:
            row = plans.Row.of(values, shape)
            photos = [*row.supports[0], *row.queries]
            assert len(set(photos)) == len(photos)
            assert (counts[photos, row.classes[0]] > 0).all()

    def test_row_is_a_function_of_seed_and_index(self, source, counts):
        index, shape = _index(source, counts), plans.Shape(2, 2, 2)
        draw = lambda n: plans.draw_plan(  # noqa: E731
            index, shape, episodes=n, seed=1, sampling="class"
        )
        np.testing.assert_array_equal(draw(9)[:4], draw(4))

    def test_classes_take_turns_evenly(self, source, counts):
        index = _index(source, counts)
        plan = plans.draw_plan(
            index, plans.Shape(), episodes=600, seed=0, sampling="class"
        )
        _, each = np.unique(plan[:, 0], return_counts=True)
        assert each.min() > 150

    def test_pairs_take_turns_exactly(self, source, counts):
        index = _index(source, counts)
        total = sum(len(photos) for photos in index.photos)
        plan = plans.draw_plan(
            index, plans.Shape(), episodes=total, seed=0, sampling="pairs"
        )
        assert len({(row[0], row[2]) for row in plan.tolist()}) == total

    def test_fewer_shots_are_missing_ones(self, source, counts):
        shape = plans.Shape(1, 4, 1, least_shot=1)
        index = _index(source, counts)
        rows = [
            plans.Row.of(plans.draw_row(index, shape, Draws(0, i)), shape)
            for i in range(60)
        ]
        assert {int((row.supports >= 0).sum()) for row in rows} == {1, 2, 3, 4}

    def test_saved_and_loaded(self, source, counts, tmp_path):
        shape = plans.Shape()
        plan = plans.draw_plan(
            _index(source, counts), shape, episodes=5, seed=0, sampling="class"
        )
        plans.save_plan(tmp_path / "a" / "plan.npy", plan)
        loaded = plans.load_plan(tmp_path / "a" / "plan.npy", shape, source)
        np.testing.assert_array_equal(loaded, plan)
        with pytest.raises(UserError, match="does not fit"):
            plans.load_plan(tmp_path / "a" / "plan.npy", plans.Shape(1, 5), source)

    def test_too_few_photos_is_one_line(self, source, counts):
        index = _index(source, counts, min_pixels=32 * 32)
        with pytest.raises(UserError, match="has 0 photos, but a 5-shot .* needs 6"):
            index.check(plans.Shape(1, 5, 1))

    def test_no_episodes_is_one_line(self, source, counts):
        index = _index(source, counts)
        with pytest.raises(UserError, match="0 episodes"):
            plans.draw_plan(index, plans.Shape(), episodes=0, seed=0, sampling="class")

    def test_counts_are_kept(self, source, counts, tmp_path):
        file = tmp_path / "counts.npz"
        for _ in range(2):
            found = plans.count_pixels(source, str(file))
            np.testing.assert_array_equal(found, counts)
        other = data_pipelines.make_source(DATA | {"train_size": 5}, "train")
        with pytest.raises(UserError, match="other photos"):
            plans.count_pixels(other, str(file))


class TestFolds:
    def test_of_the_published_tables(self):
        assert fold_ids("pascal-5i", 3) == (16, 17, 18, 19, 20)
        assert fold_ids("coco-20i", 1)[:2] == (21, 22)
        assert fold_ids("coco-20i-interleaved", 1)[:3] == (2, 6, 10)
        for name, (folds, classes, _) in {
            "coco-20i": (4, 80, 0),
            "coco-20i-interleaved": (4, 80, 0),
        }.items():
            dealt = sorted(c for f in range(folds) for c in fold_ids(name, f))
            assert dealt == list(range(1, classes + 1))

    def test_names_and_mistakes(self):
        classes = ("background", *(str(i) for i in range(20)))
        assert class_ids("novel", ("pascal-5i:0", "19"), classes) == [1, 2, 3, 4, 5, 20]
        for wrong in ("dgo", "pascal-5i:4", "coco-20i:0"):
            with pytest.raises(UserError, match=wrong):
                class_ids("novel", (wrong,), classes)


class TestEvidence:
    MASK = np.array([[0, 1, 2, 3, IGNORE]])

    def test_of_a_support(self):
        one = Evidence().support(self.MASK, np.array([1, 2]), 0)
        np.testing.assert_array_equal(one, [[0, 1, IGNORE, 0, IGNORE]])
        two = BOTH.support(self.MASK, np.array([1, 2]), 1)
        np.testing.assert_array_equal(two, [[0, 0, 1, 0, 0]])

    def test_of_a_query(self):
        found = Evidence().query(self.MASK, np.array([3, 1]))
        np.testing.assert_array_equal(found, [[0, 2, 0, 1, IGNORE]])


class TestTraining:
    def _first(self, data, count=1, **arguments):
        source = data_pipelines.make_source(data, "train")
        stream = data_pipelines.make_train(
            data, source, reads="episodes", seed=3, **arguments
        )
        return list(itertools.islice(stream, count))

    def test_batches_resume_and_split(self):
        whole = self._first(DATA, 2)
        assert whole[0]["support_image"].shape == (2, 1, 2, 32, 32, 3)
        (later,) = self._first(DATA, start_step=1)
        (share,) = self._first(DATA, start_step=1, process_index=1, process_count=2)
        for name, value in whole[1].items():
            np.testing.assert_array_equal(later[name], value)
            np.testing.assert_array_equal(share[name], value[1:])

    def test_held_out_classes_never_come(self):
        for batch in self._first(DATA | {"with_novel": "background"}, 12):
            assert set(batch["class_id"].ravel()) <= {1, 2, 3}
            assert set(np.unique(batch["query_mask"])) <= {0, 1, IGNORE}

    def test_held_out_pixels_can_be_void(self, source, counts):
        hidden = {}
        for fate in ("background", "ignore"):
            batches = self._first(DATA | {"with_novel": fate}, 12)
            hidden[fate] = sum((b["query_mask"] == IGNORE).sum() for b in batches)
        assert hidden["background"] == 0 < hidden["ignore"]

    def test_number_of_shots_is_drawn(self):
        batches = self._first(DATA | {"least_shot": 1}, 12)
        drawn = {int(n) for b in batches for n in b["shot_valid"].sum(2).ravel()}
        assert drawn == {1, 2}

    def test_crops_have_void_around_them(self):
        data = DATA | {"fit": "crop", "long_side": (20, 20)}
        (batch,) = self._first(data)
        for rect, mask in zip(batch["query_valid"], batch["query_mask"], strict=True):
            y0, x0, y1, x1 = rect[0]
            assert (y1 - y0, x1 - x0) == (20, 20)
            assert (mask != IGNORE).sum() == 400

    @pytest.mark.parametrize(("sampling", "share"), [("class", 0.5), ("image", 0.2)])
    def test_a_class_of_few_photos(self, counts, monkeypatch, sampling, share):
        """Drawn by class it is met as often as all others, by photo seldom."""
        few = np.zeros_like(counts)
        few[:, 1], few[:3, 1], few[:3, 2] = 9, 0, 9
        monkeypatch.setattr(training, "count_pixels", lambda *a, **k: few)
        batches = self._first(DATA | {"shot": 1, "sampling": sampling}, 40)
        met = np.concatenate([b["class_id"].ravel() for b in batches])
        assert set(met) == {1, 2}
        assert abs(np.mean(met == 2) - share) < 0.2

    @pytest.mark.parametrize("named", [False, True])
    def test_classes_of_few_photos_are_left_out(self, source, counts, named):
        few = counts.copy()
        few[2:, 1] = 0
        name = {"train_classes": source.classes[1:3]} if named else {}
        stream = EpisodeSettings(batch_size=1, crop=32, way=1, shot=2, **name)
        if named:  # then somebody wants it
            with pytest.raises(UserError, match="2-shot episode needs 3"):
                training_index(source, few, stream)
            return
        assert training_index(source, few, stream).classes == (2, 3, 4, 5)

    def test_leak_report(self, source, counts):
        line = leak_report(source, counts, [4, 5], "drop")
        shown = int((counts[:, 4:] > 0).any(1).sum())
        assert f"{shown} of 60 photos" in line and "left out" in line

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"novel": ("striped",)}, "striped"),
            ({"train_classes": ("dots",)}, "held out"),
            ({"validation_classes": ("dots",)}, "held out by config.data.novel"),
            ({"least_shot": 3}, "least_shot=3 is above"),
            ({"fit": "crop"}, "needs one of"),
            ({"with_novel": "hide"}, "hide"),
            ({"sampling": "image", "query": 2}, "one class and one query"),
            ({"way": 4}, "4-way episodes need 4 classes"),
        ],
    )
    def test_mistakes_are_one_line(self, change, message):
        with pytest.raises(UserError, match=message):
            self._first(DATA | change)


class TestExamples:
    @pytest.mark.parametrize(
        ("fit", "score", "canvas", "truth"),
        [
            ("squash", "input", (16, 16), (16, 16)),
            ("pad", "input", (16, 16), (11, 16)),
            ("pad", "original", (16, 16), (20, 30)),
            ("keep", "original", (32, 32), (20, 30)),
        ],
    )
    def test_sizes(self, tmp_path, fit, score, canvas, truth):
        root = fake_data.write_folder(tmp_path, tags=("cat",) * 3)
        data = {"source": "folder", "root": str(root)}
        source = data_pipelines.make_source(data, "all")
        shape = plans.Shape(1, 1, 1)
        plan = np.array([[1, 0, 2]])
        (example,) = make_eval(
            source,
            plan,
            shape,
            fit=fit,
            size=16,
            score=score,
            evidence=Evidence(),
            canvas=lambda side: 32,
        )
        assert example.arrays["query_image"].shape == (1, *canvas, 3)
        assert example.truths[0].shape == truth
        assert set(np.unique(example.truths[0])) == {0, 1}


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"PK\x03\x04", [], [[]], [[0.5] * 4], [["a"] * 4]]
)
def test_what_is_no_plan_is_one_line(tmp_path, content):
    path = tmp_path / "plan.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, np.array(content))
    source = data_pipelines.make_source({"source": "shapes", "size": 32}, "val")
    with pytest.raises(UserError, match="plan.npy: .*remove it") as caught:
        plans.load_plan(path, plans.Shape(1, 1, 1), source)
    assert "\n" not in str(caught.value)
