"""Proposals by a tiny network: what `fewshot` says of the same marks, and in order."""

import time

import numpy as np
import pytest

from ppcjax.label import composing, view
from ppcjax.label.learning import Example, Learner
from ppcjax.label.looks import Looks
from ppcjax.label.worker import Worker
from ppcjax.predict import by_examples
from ppcjax.types import IGNORE, UserError
from tests.label import worlds


@pytest.fixture
def session(tmp_path):
    opened = worlds.session(worlds.write_photos(tmp_path / "photos", 6))
    yield opened
    opened.close()


@pytest.fixture
def worker(session):
    made = Worker(session, worlds.network)
    made.start()
    yield made
    made.stop()
    made.join(20)
    assert not made.is_alive()


def _until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def _statuses(session):
    shown = view.of(session, {"training": None})
    return [photo["status"] for photo in shown["photos"]]


def test_a_fit_photo_by_photo_is_that_of_all_at_once(session):
    """Ridge regressions of several classes, of which one photo shows two."""
    run, album = worlds.network(), session.album
    looks = Looks(run, album)
    learner = Learner(run, looks)
    rng, examples, masks = np.random.default_rng(2), [], []
    for i in range(3):
        truth = np.full(looks.small(i), IGNORE, np.uint8)
        truth[rng.random(truth.shape) < 0.2] = 0
        truth[10:30, 15:40] = 1 + i % 2
        truth[:4] = 2
        examples.append(Example(i, truth))
        masks.append(truth)
    fit = learner.fit(examples)
    images = [by_examples.shrunk(album.pixels(i), looks.size, 3) for i in range(3)]
    whole = by_examples.Examples.of(images, masks, (), looks.size, 3)
    learnt = by_examples.learn(run, whole.batch)
    assert fit.classes == (1, 2)
    for name in ("moments", "cells"):
        expected = learnt[name][0]
        np.testing.assert_allclose(
            fit.arrays[name][0, : len(expected)], expected, rtol=1e-3, atol=1e-3
        )
    found = learner.scores(fit, looks(4))
    size = album.size(4)
    small = by_examples.shrunk(album.pixels(4), looks.size, 3)
    scores = by_examples.scores(run, learnt, small, size)
    mask = learner.mask(fit, found, size)
    assert (mask == scores.argmax(-1)).mean() > 0.99
    assert 0 <= found.uncertainty <= 1


def test_proposals_of_all_photos_from_two(session, worker):
    worlds.marked(session)
    worker.propose(4)
    _until(lambda: _statuses(session) == ["proposed"] * 6)
    first = min(session.proposals, key=lambda i: session.proposals[i].made)
    assert first == 4
    for i in range(6):
        mask = composing.mask(session, i)
        inside = mask[15:35, 18:38]
        assert (inside == 1 + i % 2).mean() > 0.9, i
        assert (mask[:6] == 0).mean() > 0.9
    progress = worker.progress()
    assert progress["proposals"] == [6, 6]
    _until(lambda: worker.progress()["features"] == [6, 6])


def test_corrections_join_the_examples(session, worker):
    worlds.marked(session)
    worker.propose(0)
    _until(lambda: _statuses(session).count("proposed") == 6)
    made = session.proposals[5].made
    session.do([{"kind": "accept", "photo": 2}, {"kind": "none", "photo": 3}])
    session.do([worlds.stroke(5, 0, (18, 25), (38, 25), width=24) | {"kind": "fix"}])
    worker.propose(5)
    _until(lambda: session.proposals[5].made > made)
    assert (composing.mask(session, 5)[15:35, 20:36] == 0).all()
    _until(lambda: worker.progress()["proposals"] == [4, 4])
    assert _statuses(session)[2:4] == ["accepted", "none"]


def test_what_is_settled_is_written_without_being_asked_for(session, worker):
    worlds.marked(session)
    session.do([{"kind": "accept", "photo": 0}])
    _until(session.store.mask_file("p0").is_file)


def test_too_little_is_marked(session, worker):
    with pytest.raises(UserError, match="nothing is marked"):
        worker.propose(0)
    session.do([{"kind": "class_add", "name": "a"}, worlds.stroke(0, 1, (20, 20))])
    worker.propose(0)
    _until(lambda: any("no background" in line for line in session.said()))
    assert worker.is_alive()
    session.do([{"kind": "box", "photo": 0, "class": 1, "box": [12, 10, 44, 40]}])
    worker.propose(0)
    _until(lambda: _statuses(session).count("proposed") == 6)


def test_photos_that_go_or_are_damaged_meanwhile(session, worker):
    worlds.marked(session, 3)
    root = session.album.root
    _until(lambda: worker.progress()["features"][0] == 6)
    (root / "p0.png").unlink()
    (root / "p5.png").write_bytes(b"no photo")
    session._looked = 0
    worker.propose(0)
    _until(lambda: worker.progress()["proposals"] == [5, 5])
    assert _statuses(session)[:5] == ["missing", *["proposed"] * 4]


def test_what_was_trained_needs_no_marks(session, worker):
    mask = np.zeros((48, 60), np.uint8)
    worker.use(lambda i: (mask, 0.5))
    with pytest.raises(UserError, match="nothing is marked"):
        worker.propose(0, "examples")
    worker.propose(0)
    _until(lambda: _statuses(session).count("proposed") == 6)


def test_without_a_network_all_else_works(session):
    def refuse():
        raise UserError("no weights here")

    worker = Worker(session, refuse)
    worker.start()
    worlds.marked(session)
    _until(lambda: worker.broken)
    with pytest.raises(UserError, match="no weights here"):
        worker.propose(0)
    session.do([{"kind": "accept", "photo": 0}])
    _until(session.store.mask_file("p0").is_file)
    worker.stop()
    worker.join(10)
