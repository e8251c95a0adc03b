"""The few-shot half from a trained run to scores, prototypes and masks in files."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from ppcjax.data_pipelines.episodes.supports import fill_boxes, read_supports
from ppcjax.predict.fewshot_model import load_model, to_photo

from ppcjax.evaluate.episodes import evaluation as evaluate_episodes
from ppcjax.evaluate.episodes import main as fewshot_main
from ppcjax.evaluate.episodes.metric import (
    binary_iou,
    class_iou,
    count_query,
    spread,
    zero_counts,
)
from ppcjax.evaluate.episodes.protocols import PROTOCOLS, EpisodeEvaluation
from ppcjax.predict import supports as fewshot
from ppcjax.train import loop
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps on 16 scenes of 32 pixels."""
    from ppcjax.configs import panet_shapes

    config = panet_shapes.get_config()
    config.steps, config.checkpoint_every = 2, 1
    config.method.backbone_settings.width = 4
    config.data.update(size=32, train_size=80, test_size=40, crop=32, batch_size=2)
    config.data.update(long_side=(32, 32), shot=1, least_shot=0, query=1)
    config.eval.update(episodes=6, seeds=(0, 1), size=32, shots=(1, 2), gallery=2)
    config.eval.update(choice_episodes=3)
    folder = tmp_path_factory.mktemp("runs") / "panet"
    assert loop.train(config, folder) == 2
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load_model(run)


def _scene(seed=0, height=30, width=44):
    mask = np.zeros((height, width), np.uint8)
    mask[5:20, 8:30] = 1
    return fake_data.picture(height, width, seed), mask


@pytest.fixture(scope="module")
def found(run, tmp_path_factory):
    """What an evaluation returned, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("out")
    return fewshot_main.main(run, export=out), out


class TestEvaluation:
    def test_scores_of_the_held_out_classes(self, found):
        result, _ = found
        assert set(result["shots"]) == {1, 2}
        for scores in result["shots"].values():
            assert set(scores["class_iou"]) == {"stripes", "dots"}
            assert 0 <= scores["mean_iou"]["mean"] <= 1
            assert len(scores["fb_iou"]["runs"]) == 2
        assert result["protocol"]["episodes"] == 6

    def test_files(self, found):
        result, out = found
        written = json.loads((out / "metrics.json").read_text())
        assert written["step"] == result["choice"]["step"]
        page = (out / "report.html").read_text()
        assert page.count("<figcaption>1-shot") == 2 and "95 % interval" in page
        plans = sorted(p.name for p in (out / "plans").iterdir())
        assert plans[:2] == ["1way_1shot_seed0.npy", "1way_1shot_seed1.npy"]
        assert len(list((out / "episodes").glob("*.jpg"))) == 4

    def test_plans_that_exist_are_used(self, run, found, tmp_path):
        result, out = found
        again = fewshot_main.main(run, export=tmp_path, plans=out / "plans")
        assert again["shots"] == result["shots"]
        assert not (tmp_path / "plans").exists()

    def test_mistakes_are_one_line(self):
        for settings, message in (
            ({"protocol": "pannet"}, "pannet|protocol"),
            ({"shot": 5}, "config.eval.shot"),
            ({"way": 0}, "must be 1 or more"),
        ):
            with pytest.raises(UserError, match=message):
                EpisodeEvaluation.of(settings)
        with pytest.raises(UserError, match="no class is held out"):
            evaluate_episodes.evaluated_classes({}, "novel", ("background", "a"))


class TestChoice:
    def test_best_on_classes_that_are_not_reported(self, run, found):
        choice = found[0]["choice"]
        assert set(choice["mean_iou"]) == {"1", "2"}
        best = max(choice["mean_iou"].values())
        assert choice["mean_iou"][str(choice["step"])] == best
        assert not set(choice["classes"]) & {"stripes", "dots"}
        assert not choice["held_out"]

    def test_is_kept_until_there_are_other_checkpoints(self, run, found, tmp_path):
        choice = found[0]["choice"]
        assert load_model(run).step == choice["step"]
        for step in (1, 2):
            assert load_model(run / "checkpoints" / str(step)).step == step
        copy = tmp_path / "run"
        shutil.copytree(run, copy)
        note = json.loads((copy / "choice.json").read_text())
        (copy / "choice.json").write_text(json.dumps(note | {"step": 1}))
        assert load_model(copy).step == 1
        shutil.copytree(copy / "checkpoints" / "2", copy / "checkpoints" / "3")
        assert load_model(copy).step == 3

    def test_classes_of_the_three_kinds(self):
        classes = ("background", "a", "b", "c")
        data = {"novel": ("a",), "validation_classes": ("b",)}
        kinds = evaluate_episodes.evaluated_classes
        assert kinds(data, "novel", classes) == [1]
        assert kinds(data, "validation", classes) == [2]
        assert kinds(data, "base", classes) == [3]
        assert kinds({"novel": ("a",)}, "validation", classes) == [2, 3]


class TestProtocols:
    def test_named_settings_can_be_changed_in_part(self):
        changed = EpisodeEvaluation(protocol="panet", episodes=7, seeds=[3])
        assert changed.resolved() == PROTOCOLS["panet"]._replace(episodes=7, seeds=(3,))
        assert EpisodeEvaluation(protocol="mlc").resolved() == PROTOCOLS["mlc"]

    def test_of_panet(self):
        protocol = PROTOCOLS["panet"]
        assert protocol.seeds == (1234, 1235, 1236, 1237, 1238)
        assert (protocol.episodes, protocol.size, protocol.fit) == (1000, 417, "squash")


class TestMetric:
    def test_void_and_absent(self):
        found, truth = np.array([[1, 1, 0, 0]]), np.array([[1, 0, IGNORE, 0]])
        counts = count_query(found, truth, [3], 5)
        np.testing.assert_allclose(class_iou(counts)[[0, 3]], [0.5, 0.5])
        assert np.isnan(class_iou(counts)[1])
        absent = np.zeros_like(truth)
        assert count_query(found, absent, [3], 5).false_alarms[3] == 0
        counted = count_query(found, absent, [3], 5, absent="count")
        assert counted.false_alarms[3] == 2

    def test_all_void_is_nothing(self):
        void = np.full((2, 2), IGNORE)
        counts = count_query(np.ones((2, 2), int), void, [1], 3)
        assert not any(part.any() for part in counts)
        assert np.isnan(binary_iou(zero_counts(3))).all()

    def test_interval_is_students(self):
        found = spread([0.4, 0.5, 0.6])
        assert found["mean"] == pytest.approx(0.5)
        assert found["interval"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-4)
        assert spread([0.4])["interval"] is None


class TestFit:
    def test_predicts_at_the_photos_own_size(self, model):
        image, mask = _scene()
        fitted = fewshot.fit([image], [mask], run=model, names=("thing",))
        other = fake_data.picture(51, 23, 3)
        found = fitted.predict(other)
        assert found.shape == (51, 23) and found.dtype == np.uint8
        assert set(np.unique(found)) <= {0, 1}
        np.testing.assert_array_equal(found, fitted.logits(other).argmax(-1))

    def test_saved_and_loaded(self, model, run, tmp_path):
        image, mask = _scene()
        fitted = fewshot.fit([image, image], [mask, mask * 2], run=model)
        fitted.save(tmp_path / "two.npz")
        loaded = fewshot.load(tmp_path / "two.npz")
        assert loaded.names == ("1", "2") and loaded.model.folder == run.resolve()
        np.testing.assert_array_equal(loaded.logits(image), fitted.logits(image))

    def test_repeated_support_changes_nothing(self, model):
        image, mask = _scene()
        one = fewshot.fit([image], [mask], run=model)
        six = fewshot.fit([image] * 6, [mask] * 6, run=model)
        np.testing.assert_allclose(
            six.arrays["prototypes"], one.arrays["prototypes"], rtol=1e-3, atol=1e-5
        )

    @pytest.mark.parametrize(
        ("images", "masks", "message"),
        [
            ([], [], "0 photos"),
            ([0], [], "1 photos and 0 masks"),
            ([0], [np.zeros((30, 44), int)], "no mask shows a class"),
            ([0], [np.zeros((30, 40), int)], "shape"),
            ([0], [np.full((30, 44), 2)], "no mask shows class 1"),
            ([0], [np.full((30, 44), IGNORE)], "no mask shows a class"),
        ],
    )
    def test_mistakes_are_one_line(self, model, images, masks, message):
        photos = [_scene()[0] for _ in images]
        with pytest.raises(UserError, match=message):
            fewshot.fit(photos, masks, run=model)

    def test_logits_at_the_size_of_the_canvas_are_resized_once(self):
        logits = np.random.default_rng(0).standard_normal((8, 8, 2))
        found = to_photo(
            logits, np.array([30, 20]), (60, 40), stride=4, align_corners=True
        )
        assert found.shape == (60, 40, 2)
        np.testing.assert_allclose(found[-1, -1], logits[7, 4], rtol=1e-5)


class TestSupportFolder:
    def _write(self, root):
        for number in range(3):
            fake_data.write_image(root / "images" / f"p{number}.jpg", seed=number)
        fake_data.write_mask(
            root / "masks" / "p0.png", fake_data.striped_mask([0, 1, 2])
        )
        scribble = np.full((20, 30), 255)
        scribble[3, 4:9], scribble[15, 20:25] = 2, 0
        fake_data.write_mask(root / "scribbles" / "p1.png", scribble)
        (root / "boxes.csv").write_text(
            "image,class,x0,y0,x1,y1\np2.jpg,dog,2,3,10,12\n"
        )
        (root / "classes.txt").write_text("cat\ndog\n")
        return root

    def test_masks_scribbles_and_boxes(self, tmp_path):
        found = read_supports(str(self._write(tmp_path)))
        assert found.ids == ("p0", "p1", "p2") and found.names == ("cat", "dog")
        assert set(np.unique(found.masks[1])) == {0, 2, 255}
        assert (found.masks[2] == 2).sum() == 8 * 9
        np.testing.assert_array_equal(
            found.masks[2], fill_boxes([(2, 2, 3, 10, 12)], (20, 30))
        )

    def test_segments_a_folder(self, run, tmp_path):
        root = self._write(tmp_path / "supports")
        out = tmp_path / "out"
        fewshot_main.segment_photos(run, root, str(root / "images"), export=out)
        mask = np.asarray(Image.open(out / "masks" / "p2.png"))
        assert mask.shape == (20, 30) and mask.max() <= 2
        assert (out / "classes.txt").read_text() == "background\ncat\ndog\n"
        assert fewshot.load(out / "prototypes.npz").names == ("cat", "dog")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("image,x0\n", "its first line must be"),
            ("image,class,x0,y0,x1,y1\np2,cow,1,1,2,2\n", "line 2: class 'cow'"),
            ("image,class,x0,y0,x1,y1\np2,dog,1,1,1,2\n", "box is empty"),
            ("image,class,x0,y0,x1,y1\np2,dog,1,1,b,2\n", "line 2"),
        ],
    )
    def test_mistakes_are_one_line(self, tmp_path, text, message):
        root = self._write(tmp_path)
        (root / "boxes.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_supports(str(root))
        with pytest.raises(UserError, match="no such directory"):
            read_supports(str(root / "nowhere"))
