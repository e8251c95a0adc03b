"""Classes learnt from masked photos, without training."""

import io
import json

import numpy as np
import pytest

from ppcjax.predict import supports as fewshot
from ppcjax.runs import open_run
from ppcjax.types import IGNORE, UserError
from tests import few_shot
from tests.data import fake_data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(few_shot.train(tmp_path_factory.mktemp("runs") / "panet"))


def npy_file():
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


def _scene(seed=0, height=30, width=44):
    mask = np.zeros((height, width), np.uint8)
    mask[5:20, 8:30] = 1
    return fake_data.picture(height, width, seed), mask


def test_fit_predicts_at_the_photos_own_size(run):
    image, mask = _scene()
    fitted = fewshot.fit([image], [mask], run=run, names=("thing",))
    other = fake_data.picture(51, 23, 3)
    found = fitted.predict(other)
    assert found.shape == (51, 23) and found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1}
    np.testing.assert_array_equal(found, fitted.logits(other).argmax(-1))


def test_prototypes_are_saved_and_loaded(run, tmp_path):
    image, mask = _scene()
    fitted = fewshot.fit([image, image], [mask, mask * 2], run=run)
    fitted.save(tmp_path / "two.npz")
    loaded = fewshot.load(tmp_path / "two.npz")
    assert loaded.names == ("1", "2") and loaded.run.folder == run.folder.resolve()
    assert (loaded.run.step, loaded.size) == (run.step, fitted.size)
    np.testing.assert_array_equal(loaded.logits(image), fitted.logits(image))


def test_prototypes_of_another_step_are_refused(run, tmp_path):
    image, mask = _scene()
    fewshot.fit([image], [mask], run=run).save(tmp_path / "one.npz")
    with pytest.raises(UserError, match=f"made at step {run.step}, and .* is at 1"):
        fewshot.load(tmp_path / "one.npz", run=run.folder / "checkpoints" / "1")


@pytest.mark.parametrize("count", [1, 2])
def test_threshold_is_chosen_saved_and_may_be_given(run, tmp_path, count):
    scenes = [_scene(seed) for seed in range(count)]
    images, masks = zip(*scenes, strict=True)
    fitted = fewshot.fit(images, masks, run=run)
    assert len(fitted.least) == 1 and -1 < fitted.least[0] < 1
    fitted.save(tmp_path / "one.npz")
    assert fewshot.load(tmp_path / "one.npz").least == fitted.least
    off = fewshot.fit(images, masks, run=run, none_of_these="off")
    assert off.least == ()
    never = fewshot.fit(images, masks, run=run, none_of_these=1.0)
    assert never.least == (1.0,) and not never.predict(images[0]).any()
    always = fewshot.fit(images, masks, run=run, none_of_these=-1.0)
    np.testing.assert_array_equal(always.logits(images[0]), off.logits(images[0]))


def test_file_of_before_thresholds_opens_without(run, tmp_path):
    image, mask = _scene()
    fewshot.fit([image], [mask], run=run).save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as found:
        arrays = dict(found)
    meta = json.loads(str(arrays["meta"]))
    del meta["none_of_these"]
    np.savez(tmp_path / "old.npz", **(arrays | {"meta": json.dumps(meta)}))
    assert fewshot.load(tmp_path / "old.npz").least == ()


def npz_file(meta):
    content = io.BytesIO()
    np.savez(content, meta=json.dumps(meta))
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"no archive", npy_file(), npz_file([]), npz_file({})),
        npz_file({"names": 3, "size": 1, "step": 0, "run": "a"}),
        npz_file({"names": [], "size": {}, "step": 0, "run": "a"}),
    ],
)
def test_file_of_no_prototypes_is_named(tmp_path, content):
    path = tmp_path / "none.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="none.npz: is no file of prototypes"):
        fewshot.load(path)


def test_repeated_support_changes_nothing(run):
    image, mask = _scene()
    one = fewshot.fit([image], [mask], run=run)
    six = fewshot.fit([image] * 6, [mask] * 6, run=run)
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
def test_mistakes_are_one_line(run, images, masks, message):
    photos = [_scene()[0] for _ in images]
    with pytest.raises(UserError, match=message):
        fewshot.fit(photos, masks, run=run)
