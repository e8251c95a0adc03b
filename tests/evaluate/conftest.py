"""A run of every method, never trained, small enough to evaluate in a second."""

import jax
import numpy as np
import pytest

from ppcjax import data_pipelines, methods
from ppcjax.evaluate import fitting
from ppcjax.runs import open_run
from ppcjax.runs.checkpoint import Checkpoints
from ppcjax.types import TrainState
from tests import batches
from tests.small_methods import small

DATA = {
    "source": "shapes",
    "size": 32,
    "train_size": 24,
    "val_size": 6,
    "test_size": 40,
    "train_split": "train",
    "eval_split": "test",
    "val_split": "val",
    "batch_size": 2,
    "crop": 32,
    "on_bad_image": "stop",
}
MORE_DATA = {
    "dense": {"long_side": [32, 40]},
    "views": {"scale": [0.5, 1.0], "ratio": [0.75, 1.5]},
    "episodes": {
        "way": 1,
        "shot": 1,
        "novel": ["stripes", "dots"],
        "fit": "crop",
        "long_side": [32, 40],
    },
}
# What keeps an evaluation short; a kind that is not named takes its defaults.
EVAL = {
    "maps": {"scales": [1.0], "gallery": 2},
    "logits": {"scales": [1.0], "gallery": 2},
    "episodes": {"episodes": 3, "seeds": [0], "shots": [1], "size": 32, "gallery": 1},
    "features": {"photos": 4, "gallery": 1},
    "neighbours": {"side": 32, "k": 3, "gallery": 2},
}


def run_config(name, method):
    """The config of a run of a method."""
    return {
        "name": f"tiny_{name}",
        "seed": 0,
        "method": {"name": name, **small(name)},
        "data": DATA | MORE_DATA[method.reads],
        "eval": EVAL.get(fitting(method)[0], {}),
    }


def make_run(folder, name):
    """Saves a run of a method below `folder`; returns where."""
    classes = data_pipelines.make_source(DATA, "val").classes
    method = methods.make({"name": name, **small(name)}, len(classes))
    config = run_config(name, method)
    state = method.init(jax.random.key(0), batches.KINDS[method.reads]())
    saver = Checkpoints(folder / name, keep=1, config=config, classes=classes)
    saver.save(jax.device_put(TrainState(np.int32(7), *state, {})), 7)
    saver.wait()
    saver.close()
    line = '{"step": 7, "train/loss/total": 1.5, "val/mean_iou": 0.25}\n'
    (folder / name / "metrics.jsonl").write_text(line)
    return folder / name


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """Name of a method -> folder of its run, made when it is first asked for."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def find(name):
        if name not in made:
            made[name] = make_run(root, name)
        return made[name]

    return find


@pytest.fixture(scope="session")
def run_of(folder_of):
    """Name of a method -> its run, opened."""
    opened = {}

    def find(name):
        if name not in opened:
            opened[name] = open_run(folder_of(name))
        return opened[name]

    return find
