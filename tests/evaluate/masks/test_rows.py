"""What is told of each photo: areas, how uncertain it is, its IoU."""

import json

import numpy as np
import pytest

from ppcjax.evaluate.masks.rows import photo_iou, row
from ppcjax.predict.prediction import Prediction, predict_mask
from ppcjax.types import IGNORE
from tests.evaluate.masks.toy import make_example


@pytest.mark.parametrize("masked", [True, False])
def test_row_holds_json_types_and_all_pixels(masked):
    example = make_example(0, masked=masked)
    scores = np.stack([example.image[..., 0] * 0.0, *example.image.T[:2].mT / 255], -1)
    prediction = Prediction(example, scores.astype(np.float32), np.ones(3, bool))
    mask = predict_mask(prediction.scores, 0.5)
    found = row(prediction, mask, uncertainty=np.float32(0.123456))
    assert json.loads(json.dumps(found)) == found
    assert found["id"] == "photo0" and found["size"] == [40, 48]
    assert found["areas"] == {"0": 40 * 48 - 20 * 24, "1": 20 * 24}
    assert found["uncertainty"] == 0.1235
    assert found["iou"] == (1.0 if masked else None)
    assert row(prediction, mask)["uncertainty"] is None


def test_iou_of_a_photo_is_over_what_either_mask_shows():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 2, 5, IGNORE], (9, 11))
    mask = rng.choice([0, 2, 7], (9, 11)).astype(np.uint8)
    keep = truth != IGNORE
    values = []
    for c in (0, 2, 5, 7):
        ours, true = mask[keep] == c, truth[keep] == c
        values.append((ours & true).sum() / (ours | true).sum())
    assert photo_iou(mask, truth) == round(float(np.mean(values)), 4)
    assert photo_iou(mask, np.full_like(truth, IGNORE)) is None
