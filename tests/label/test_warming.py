"""After a warm-up the first proposal compiles nothing of its own."""

import numpy as np
import pytest

from ppcjax.label.learning import Example, Learner
from ppcjax.label.looks import Looks
from ppcjax.label.warming import warm
from ppcjax.predict.devices import compiled
from tests.label import worlds


@pytest.fixture
def run():
    """The tiny network, with functions that no other test has compiled."""
    found = worlds.network()
    method = found.method._replace(
        fit=lambda *given: found.method.fit(*given),
        segment=lambda *given: found.method.segment(*given),
    )
    return found._replace(method=method)


@pytest.mark.parametrize("classes", [1, 2])
def test_what_is_compiled_before_is_what_is_used(run, tmp_path, classes):
    assert warm(run)
    functions = [
        compiled(function, run.method)
        for function in (run.method.fit, run.method.segment)
    ]
    before = [function._cache_size() for function in functions]
    assert before == [1, 2]
    session = worlds.session(worlds.write_photos(tmp_path / "photos"))
    looks = Looks(run, session.album)
    learner, examples = Learner(run, looks), []
    for i in range(3):
        truth = np.zeros(looks.small(i), np.uint8)
        truth[10:30, 10:30] = 1 + i % classes
        examples.append(Example(i, truth))
    learner.scores(learner.fit(examples), looks(3))
    assert [function._cache_size() for function in functions] == before
    session.close()


def test_other_networks_are_left(run):
    config = {**run.config, "method": {**run.config["method"], "name": "panet"}}
    assert not warm(run._replace(config=config))
