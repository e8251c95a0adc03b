"""Proposals by a tiny network: what `fewshot` says of the same marks, and in order."""

import time

import numpy as np
import pytest

from ppcjax.label import composing, learning, view
from ppcjax.label.learning import Example, Fit, Learner
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


def _truth(looks, i, seed=2):
    """A mask of a photo with some background, two classes and much that is unknown."""
    truth = np.full(looks.small(i), IGNORE, np.uint8)
    truth[np.random.default_rng(seed + i).random(truth.shape) < 0.2] = 0
    truth[10:30, 15:40] = 1 + i % 2
    truth[:4] = 2
    return truth


def _learner(run, looks, truths):
    made = Learner(run, looks)
    for i, truth in truths.items():
        made.put(Example(i, truth))
    return made


def _are_alike(fit, other):
    assert fit.classes == other.classes
    for name in ("moments", "cells"):
        expected = np.asarray(other.arrays[name][0])
        np.testing.assert_allclose(
            fit.arrays[name][0, : len(expected)], expected, rtol=1e-3, atol=1e-3
        )


def test_a_fit_photo_by_photo_is_that_of_all_at_once(session):
    """Ridge regressions of several classes, of which one photo shows two."""
    run, album = worlds.network(), session.album
    looks = Looks(run, album)
    truths = {i: _truth(looks, i) for i in range(3)}
    learner = _learner(run, looks, truths)
    fit = learner.fit()
    images = [by_examples.shrunk(album.pixels(i), looks.size, 3) for i in range(3)]
    whole = by_examples.Examples.of(images, [*truths.values()], (), looks.size, 3)
    learnt = by_examples.learn(run, whole.batch)
    assert fit.classes == (1, 2)
    _are_alike(fit, Fit((1, 2), learnt, 0))
    found = learner.scores(fit, looks(4))
    size = album.size(4)
    small = by_examples.shrunk(album.pixels(4), looks.size, 3)
    scores = by_examples.scores(run, learnt, small, size)
    mask = learner.mask(fit, found, size)
    assert (mask == scores.argmax(-1)).mean() > 0.99
    assert 0 <= found.uncertainty <= 1


@pytest.mark.parametrize("recent", [0, 1 << 20])
def test_examples_that_change_and_go_leave_nothing_behind(session, recent, monkeypatch):
    monkeypatch.setattr(learning, "_RECENT", recent)
    run, looks = worlds.network(), Looks(worlds.network(), session.album)
    truths = {i: _truth(looks, i) for i in range(5)}
    learner = _learner(run, looks, truths)
    third = np.where(truths[0] == 2, 3, truths[0])
    learner.put(Example(0, third))
    learner.drop(0)
    learner.drop(5)  # which never was one
    truths[1], truths[2] = _truth(looks, 1, seed=9), np.zeros_like(truths[2])
    for i in (1, 2):
        learner.put(Example(i, truths[i]))
    rest = {i: truth for i, truth in truths.items() if i != 0}
    _are_alike(learner.fit(), _learner(run, looks, rest).fit())
    for i in rest:
        learner.drop(i)
    with pytest.raises(UserError, match="nothing is marked"):
        learner.fit()


def test_an_example_whose_photo_is_another_one_is_taken_off_as_well(session):
    run, looks = worlds.network(), Looks(worlds.network(), session.album)
    truths = {i: _truth(looks, i) for i in range(3)}
    learner = _learner(run, looks, truths)
    learner._recent.clear()
    looks.forget(0)
    looks.forget(1)
    session.album.file(0).write_bytes(session.album.file(5).read_bytes())
    session.album.file(1).unlink()
    learner.drop(0)
    rest = {2: truths[2]}
    _are_alike(learner.fit(), _learner(run, looks, rest).fit())


@pytest.fixture
def many(session, monkeypatch):
    """Looks of an album that has the first photo time and again."""
    looks = Looks(worlds.network(), session.album)
    first = looks(0)
    monkeypatch.setattr(Looks, "_look", lambda self, i: first)
    return looks


def test_all_photos_are_learnt_from(many):
    """However many; the first one alone shows a third class."""
    run, looks, truth = worlds.network(), many, _truth(many, 0)
    third = np.where(truth == 2, 3, truth)
    truths = {0: third, **{i: truth for i in range(1, 301)}}
    learner = _learner(run, looks, truths)
    fit = learner.fit()
    assert fit.classes == (1, 2, 3) and fit.left_out == 0
    one = _learner(run, looks, {0: truth}).fit()
    ratio = fit.arrays["moments"][0, 2] / one.arrays["moments"][0, 2]
    assert np.nanmedian(ratio) == pytest.approx(300, rel=1e-4)
    assert sum(map(learning._size, learner._recent.values())) <= learning._RECENT


def test_a_method_that_does_not_add_up_says_what_it_leaves_out(many):
    truth = _truth(many, 0)
    learner = Learner(worlds.network(), many)
    learner.adds_up = False
    for i in range(20):
        learner.put(Example(i, truth))
    assert learner.fit().left_out == 4


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
    for _ in range(2):  # each press is answered
        with pytest.raises(UserError, match="a line of background"):
            worker.propose(0)
    session.do([worlds.stroke(0, 0, (20, 40)), worlds.stroke(0, 255, (20, 40))])
    worker.propose(0)  # so is one that is found out later
    for times in (1, 2, 3):
        _until(lambda times=times: session.spoken == times)
        assert "a line of background" in session.said()[-1] and len(session.said()) == 1
        worker.propose(0)
    assert worker.is_alive()
    session.do([{"kind": "box", "photo": 0, "class": 1, "box": [12, 10, 44, 40]}])
    worker.propose(0)
    _until(lambda: _statuses(session).count("proposed") == 6)


def test_what_was_marked_before_is_learnt_with_the_features(session, worker):
    worlds.marked(session)
    again = Worker(session, worlds.network)
    again.start()
    _until(lambda: again.progress()["features"] == [6, 6])
    _until(lambda: again._study._learnt.keys() == {0, 1})
    session.do([worlds.stroke(0, 2, (5, 40))])
    again.propose(0)
    _until(lambda: again.progress()["proposals"] == [6, 6])
    assert again._study._learnt[0] == session.state.n
    again.stop()
    again.join(20)


def test_when_nothing_is_left_to_propose_each_press_is_told_so(session, worker):
    worlds.marked(session)
    session.do([{"kind": "none", "photo": i} for i in range(2, 6)])
    session.do([{"kind": "accept", "photo": i} for i in range(2)])
    for times in (1, 2):
        worker.propose(0)
        _until(lambda times=times: session.spoken == times)
        assert "all photos are decided" in session.said()[-1]


def test_photos_that_cannot_be_read_are_said_once_and_do_not_count(tmp_path):
    root = worlds.write_photos(tmp_path / "photos")
    (root / "x.png").write_bytes(b"")
    session = worlds.session(root)
    worlds.marked(session)
    worker = Worker(session, worlds.network)
    worker.start()
    _until(lambda: worker.progress()["features"] == [4, 4])
    for _ in range(2):
        before = session.version
        worker.propose(0)
        assert worker.progress()["asked"] and session.version > before
        _until(lambda: worker.progress()["proposals"] == [5, 5])
        assert not worker.progress()["asked"]
    (line,) = session.said()
    assert "x.png: cannot be read" in line and "on_bad_image" not in line
    worker.stop()
    worker.join(20)
    session.close()


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
