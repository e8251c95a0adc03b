"""Exported predictors of small runs, each made once."""

import numpy as np
import pytest

from ppcjax.predict import tta
from ppcjax.predict.export import export_model
from tests.evaluate.conftest import folder_of, run_of  # noqa: F401
from tests.predict.toy import Photo

ONE_SCALE = tta.Scaling(scales=(1.0,), flip=False)


@pytest.fixture(scope="session")
def exported(run_of, tmp_path_factory):  # noqa: F811
    """Name of a method -> folder of its exported predictor."""
    root, made = tmp_path_factory.mktemp("exported"), set()

    def find(name):
        if name not in made:
            export_model(run_of(name), root / name)
            made.add(name)
        return root / name

    return find


def scores_of_run(run, *images):
    """Scores of images at one scale, by the run itself."""
    network = run.method, run.params, run.model_state
    given = [Photo(i, image) for i, image in enumerate(images)]
    found = tta.predict(*network, given, scaling=ONE_SCALE)
    return [one.scores for one in sorted(found, key=lambda one: one.example.id)]


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
