"""`ppcjax.load`: photos in any form, of any number, for every method."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import ppcjax
from ppcjax import methods
from ppcjax.predict.photos import Predictor, recorded_threshold
from ppcjax.runs import Run
from ppcjax.types import Method, UserError
from tests.evaluate.conftest import folder_of, run_of  # noqa: F401

CLASSES = ("background", "red", "green")


def counting_run(shapes):
    """A run whose network notes how many photos it is given."""

    def predict(params, model_state, batch):
        shapes.append(batch["image"].shape)
        x = batch["image"][:, ::8, ::8].astype(jnp.float32) / 255
        return {"logits": jnp.roll(x, 1, axis=-1) * params["gain"]}

    method = Method(None, None, predict)
    config = {"name": "x", "method": {"name": "toy"}, "eval": {"scales": [1.0]}}
    return Run(None, 1, config, CLASSES, method, {"gain": np.float32(9)}, {})


def photo(label, size=(24, 40)):
    image = np.zeros((*size, 3), np.uint8)
    image[..., label - 1] = 255
    return image


@pytest.mark.parametrize(("count", "rows"), [(1, 2), (2, 2), (3, 4), (5, 8), (9, 8)])
def test_few_photos_are_not_padded_to_a_full_batch(count, rows):
    """On two devices; both mirrors of a photo are in a batch."""
    shapes = []
    predictor = Predictor(counting_run(shapes), 0.5)
    predictor.predict([photo(1)] * count)
    assert {shape[0] for shape in shapes if shape[0] > 1} == {2 * rows}


def test_results_of_a_list_come_in_its_order(tmp_path):
    predictor = Predictor(counting_run([]), 0.5)
    sizes = [(24, 40), (300, 20), (24, 40), (70, 70)]
    photos = [photo(1 + i % 2, size) for i, size in enumerate(sizes)]
    found = predictor.predict(photos)
    for i, (one, size) in enumerate(zip(found, sizes, strict=True)):
        assert one.mask.shape == size and (one.mask == 1 + i % 2).all()
        assert one.tags == (CLASSES[1 + i % 2],)


def test_a_photo_may_be_an_array_an_image_or_a_path(tmp_path):
    predictor = Predictor(counting_run([]), 0.5)
    pixels = photo(2)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    forms = [
        pixels,
        Image.fromarray(pixels),
        Image.fromarray(pixels).convert("RGBA"),
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
    ]
    for form in forms:
        np.testing.assert_array_equal(predictor.predict(form).mask, 2)
    assert len(predictor.predict(forms)) == len(forms)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        ("no_such.jpg", "no_such.jpg"),
        (None, "object"),
    ],
)
def test_what_is_no_photo_is_one_line(image, message):
    with pytest.raises(UserError, match=message) as caught:
        Predictor(counting_run([]), 0.5).predict(image)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("noted", ["null", '"x"', "1.5", "NaN", "[0.3]"])
def test_a_noted_threshold_that_is_none_is_one_line(tmp_path, noted):
    run = counting_run([])._replace(folder=tmp_path)
    assert recorded_threshold(run) is None
    note = tmp_path / "threshold.json"
    note.write_text('{"step": 1, "threshold": 0.25}')
    assert recorded_threshold(run)["threshold"] == 0.25
    note.write_text(f'{{"step": 1, "threshold": {noted}}}')
    with pytest.raises(UserError, match="threshold.json: threshold=.*: give a number"):
        recorded_threshold(run)
    assert recorded_threshold(run._replace(step=2)) is None


@pytest.mark.parametrize("name", list(methods.METHODS))
def test_every_method_loads_or_says_what_to_use_instead(
    name,
    folder_of,  # noqa: F811
    run_of,  # noqa: F811
):
    if run_of(name).method.gives in ("maps", "logits"):
        predictor = ppcjax.load(folder_of(name))
        found = predictor.predict(np.full((20, 33, 3), 99, np.uint8))
        assert found.mask.shape == (20, 33) and found.scores.shape == (20, 33, 6)
        return
    with pytest.raises(UserError) as caught:
        ppcjax.load(folder_of(name))
    message = str(caught.value)
    assert "\n" not in message and name in message
    assert any(word in message for word in ("eval.py", "ppcjax.fewshot"))
