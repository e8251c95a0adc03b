"""What the page is told: areas that accepting writes, and which road fits."""

import pytest

from ppcjax.label import composing, view
from ppcjax.label.marks import shares
from tests.label import worlds

PROGRESS = {"features": [0, 0], "proposals": [0, 0], "training": None}


@pytest.fixture
def opened(session):
    worlds.marked(session)
    return session


def _do(session, kind, photo=0, **more):
    done = session.do([{"kind": kind, "photo": photo, **more}])
    assert not done["refused"], done


def _photo(session, i=0):
    return view.of(session, PROGRESS)["photos"][i]


def test_areas_are_those_of_what_accepting_writes(opened):
    """Of an open proposal with what is drawn on it, whichever comes first."""

    def areas():
        composing.write_all(opened)
        return _photo(opened)["areas"]

    opened.do([worlds.stroke(0, 0, (2, 25), (50, 25), width=4)])
    worlds.propose(opened)
    plain = opened.proposals[0].areas
    with_strokes = areas()
    assert with_strokes == shares(composing.mask(opened, 0)) != plain
    fix = {"class": 2, "points": [[5, 40], [45, 40]], "width": 6}
    _do(opened, "fix", **fix)
    assert _photo(opened)["areas"] == {}  # not those of before
    assert areas() == shares(composing.mask(opened, 0)) != with_strokes
    again = worlds.session(opened.album.root)
    composing.write_all(again)
    assert _photo(again)["areas"] == areas()
    shown = areas()
    _do(opened, "tag", **{"class": 1, "on": True})
    assert _photo(opened)["areas"] == shown  # a tag changes no mask
    _do(opened, "accept")
    assert areas() == shown
    _do(opened, "reopen")
    _do(opened, "undo")
    assert areas() == with_strokes
    worlds.propose(opened, 2)  # nothing is drawn on it: they are there at once
    assert _photo(opened, 2)["areas"] == opened.proposals[2].areas


def test_the_roads(opened):
    assert view.of(opened, PROGRESS)["roads"]["examples"]
    said = view.of(opened, PROGRESS)["roads"]["said"]
    assert said.startswith("examples: 2 photos are marked, all others")
    _do(opened, "none", 2)
    _do(opened, "reopen", 2)
    for photo in (0, 1):
        for _ in range(2):
            _do(opened, "undo", photo)
    assert "mark one to five photos" in view.of(opened, PROGRESS)["roads"]["said"]
    opened.do([worlds.stroke(0, 1, (20, 20))])
    roads = view.of(opened, PROGRESS)["roads"]
    assert roads["needs"] == "background"
    assert roads["said"].startswith("examples: 1 photo is marked, one class alone")
    for asked in (
        worlds.stroke(1, 0, (20, 20)),
        worlds.stroke(1, 2, (20, 20)),
        {"kind": "box", "photo": 1, "class": 1, "box": [1, 1, 9, 9]},
        {"kind": "none", "photo": 2},
    ):
        opened.do([asked])
        assert not view.of(opened, PROGRESS)["roads"]["needs"]
        _do(opened, "undo" if asked["kind"] != "none" else "reopen", asked["photo"])
        assert view.of(opened, PROGRESS)["roads"]["needs"]
