"""The choice of a threshold: photos are predicted only where masks can judge them."""

from pathlib import Path

import numpy as np
import pytest

from ppcjax.data_pipelines.sources.base import Source
from ppcjax.evaluate.masks import thresholds
from ppcjax.evaluate.masks.settings import MapSettings
from ppcjax.predict.prediction import Prediction
from ppcjax.runs import Run
from tests.evaluate.masks.toy import CLASSES, colour_method, make_example


@pytest.fixture
def choose(monkeypatch):
    """Chooses from toy photos; gives what was chosen and how many were predicted."""

    def start(masked):
        examples = [make_example(i, masked=m) for i, m in enumerate(masked)]
        records = [e._replace(mask=lambda e=e: e.mask) for e in examples]
        ids = tuple(e.id for e in examples)
        source = Source("toy", CLASSES, ids, records.__getitem__)
        predicted = []

        def predict(run, photos, how):
            for example in examples:
                predicted.append(example.id)
                scores = np.eye(len(CLASSES), dtype=np.float32)[
                    np.zeros(example.image.shape[:2], int)
                ]
                yield Prediction(example, scores, None)

        monkeypatch.setattr(
            thresholds.data_pipelines, "make_source", lambda *_, **__: source
        )
        monkeypatch.setattr(thresholds.data_pipelines, "make_eval", lambda *_: examples)
        monkeypatch.setattr(thresholds, "predict_photos", predict)
        config = {"name": "colours", "method": {"name": "colours"}, "data": {}}
        run = Run(Path("run"), 3, config, CLASSES, colour_method(), None, None)
        data = {"val_split": "val"}
        chosen = thresholds.choose_threshold(
            run, MapSettings(), 0.3, data, "train", limit=9
        )
        return chosen, predicted

    return start


def test_without_masks_nothing_is_predicted(choose, capsys):
    assert choose([False] * 3) == (None, [])
    assert "val has no masks" in capsys.readouterr().out


@pytest.mark.parametrize("masked", [[True, True], [False, True]])
def test_with_masks_all_are(choose, masked):
    chosen, predicted = choose(masked)
    assert len(predicted) == len(masked) and chosen["split"] == "val"
