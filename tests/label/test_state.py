"""Actions and what they make: a fold that does not fail on what was checked."""

import copy

import numpy as np
import pytest

from ppcjax.label import actions
from ppcjax.label.state import State, apply, replayed
from ppcjax.types import UserError
from tests.label import worlds

ADD = {"kind": "class_add", "name": "cow"}


class Client:
    """Asks for actions as a session does, without photos."""

    def __init__(self):
        self.state, self.entries = State(), []

    def do(self, action):
        entry = {"n": self.state.n + 1, **actions.checked(self.state, action)}
        if entry["kind"] == "accept":
            entry |= {"base": "", "shown": [1]}
        apply(self.state, entry)
        self.entries.append(entry)
        return entry


def _stroke(photo="a", class_id=1, **more):
    return worlds.stroke(photo, class_id, (1, 2), (3, 4), **more)


def test_undo_and_redo_are_of_the_last_mark_of_a_photo():
    client = Client()
    client.do(ADD)
    for width in (1, 2, 3):
        client.do(_stroke(width=width))
    client.do(_stroke("b", width=9))
    client.do({"kind": "undo", "photo": "a"})
    client.do({"kind": "undo", "photo": "a"})

    def widths(photo):
        return [item["width"] for item in client.state.photo(photo).items]

    assert widths("a") == [1] and widths("b") == [9]
    client.do({"kind": "redo", "photo": "a"})
    assert widths("a") == [1, 2]
    client.do(_stroke(width=5))  # after which nothing can be brought back
    assert widths("a") == [1, 2, 5]
    with pytest.raises(UserError, match="nothing to bring back"):
        client.do({"kind": "redo", "photo": "a"})
    with pytest.raises(UserError, match="nothing to take back"):
        client.do({"kind": "undo", "photo": "c"})
    assert "c" not in client.state.photos


def test_what_settles_a_photo():
    client = Client()
    client.do(ADD)

    def settled():
        photo = client.state.photo("a")
        return photo.settled, photo.rejected

    for kind, found in (
        ("accept", ("accepted", False)),
        ("reopen", ("", False)),
        ("none", ("none", False)),
        ("reject", ("", True)),
    ):
        client.do({"kind": kind, "photo": "a"})
        assert settled() == found
    assert client.state.photo("a").thrown == client.state.n
    client.do(_stroke())
    assert settled() == ("", False)


def test_a_class_that_is_used_stays():
    client = Client()
    for name in ("cow", "dog", "pig", "hen"):
        client.do({"kind": "class_add", "name": name})
    client.do(_stroke(class_id=1))
    client.do({"kind": "tag", "photo": "b", "class": 2, "on": True})
    client.do({"kind": "accept", "photo": "c"})  # shows 1, see Client
    for used in (1, 2):
        with pytest.raises(UserError, match="is used"):
            client.do({"kind": "class_remove", "class": used})
    client.do({"kind": "class_remove", "class": 4})
    assert client.do({"kind": "class_add", "name": "hen"})["class"] == 5
    client.do({"kind": "tag", "photo": "b", "class": 2, "on": False})
    client.do({"kind": "class_remove", "class": 2})
    assert sorted(client.state.classes) == [1, 3, 5]


def test_marks_that_would_change_nothing_are_refused():
    client = Client()
    client.do(ADD)
    box = {"kind": "box", "photo": "a", "class": 1, "box": [1, 1, 9, 9]}
    client.do({"kind": "none", "photo": "a"})
    for mark in (_stroke(), _stroke() | {"kind": "fix"}, box):
        with pytest.raises(UserError, match="reopen it"):
            client.do(mark)
    client.do({"kind": "accept", "photo": "a"})
    client.do(box)  # of marks alone the mask is made
    client.state.photos["a"].base = "ab"
    client.do(_stroke())
    with pytest.raises(UserError, match="boxes change none"):
        client.do(box)
    client.do({"kind": "reopen", "photo": "a"})
    client.do(box)


def test_a_class_whose_marks_are_all_taken_back_can_go_and_they_stay_away():
    client = Client()
    for name in ("cow", "dog"):
        client.do({"kind": "class_add", "name": name})
    for class_id in (1, 2):
        client.do(_stroke(class_id=class_id))
    for _ in range(2):
        client.do({"kind": "undo", "photo": "a"})
    client.do({"kind": "class_remove", "class": 1})
    client.do({"kind": "redo", "photo": "a"})
    assert [item["class"] for item in client.state.photo("a").items] == [2]
    with pytest.raises(UserError, match="nothing to bring back"):
        client.do({"kind": "redo", "photo": "a"})
    assert replayed(client.entries) == client.state


def test_names_and_colours():
    client = Client()
    assert client.do({**ADD, "name": "  brown   cow "})["name"] == "brown cow"
    client.do({"kind": "class_colour", "class": 1, "colour": "#ABCDEF"})
    client.do({"kind": "class_rename", "class": 1, "name": "BROWN COW"})
    one = client.state.classes[1]
    assert (one.name, one.colour) == ("BROWN COW", "#abcdef")


NAN = float("nan")
WRONG = [
    None,
    [],
    "stroke",
    {},
    {"kind": None},
    {"kind": "begin"},
    {"kind": ["stroke"]},
    {**ADD, "name": ""},
    {**ADD, "name": "a\nb\x00"},
    {**ADD, "name": "x" * 101},
    {**ADD, "name": "Background"},
    {**ADD, "name": "COW"},
    {**ADD, "name": 7},
    {**ADD, "name": "new", "colour": "red"},
    {**ADD, "name": "new", "colour": "#12345g"},
    {**ADD, "name": "new", "class": 0},
    {**ADD, "name": "new", "class": 255},
    {**ADD, "name": "new", "class": True},
    {**ADD, "name": "new", "class": 1},
    {**ADD, "name": "new", "id": "a b"},
    {**ADD, "name": "new", "id": 5},
    {**ADD, "name": "new", "id": "x" * 65},
    _stroke(class_id=2),
    _stroke(class_id="1"),
    _stroke(class_id=1.0),
    _stroke(class_id=True),
    _stroke(photo=None),
    _stroke(width=0),
    _stroke(width=-1),
    _stroke(width=NAN),
    _stroke(width="3"),
    _stroke(width=1e9),
    {**_stroke(), "points": []},
    {**_stroke(), "points": [[1]]},
    {**_stroke(), "points": [[1, None]]},
    {**_stroke(), "points": [[1, float("inf")]]},
    {**_stroke(), "points": [[1, 10**400]]},
    {**_stroke(), "points": "12"},
    {**_stroke(), "points": [[0, 0]] * 20_001},
    {"kind": "box", "photo": "a", "class": 1, "box": [1, 1, 1, 9]},
    {"kind": "box", "photo": "a", "class": 1, "box": [1, 1, 9]},
    {"kind": "box", "photo": "a", "class": 255, "box": [1, 1, 9, 9]},
    {"kind": "tag", "photo": "a", "class": 1, "on": 1},
    {"kind": "tag", "photo": "a", "class": 0, "on": True},
    {"kind": "import", "photo": "a", "as": "mask"},
    {"kind": "class_rename", "class": 9, "name": "x"},
    {"kind": "class_remove", "class": [1]},
]


@pytest.mark.parametrize("action", WRONG, ids=lambda a: repr(a)[:60])
def test_what_is_wrong_changes_nothing(action):
    client = Client()
    client.do(ADD)
    before = copy.deepcopy(client.state)
    with pytest.raises(UserError) as refused:
        client.do(action)
    assert client.state == before
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_fields_that_no_one_asked_for_are_not_kept():
    entry = actions.checked(State(), {**ADD, "n": 5, "base": "../x", "more": {}})
    assert sorted(entry) == ["class", "colour", "kind", "name"]


def random_action(rng, photos, names=6):
    """Any action on some photos; many do not fit."""
    photo, class_id = photos[rng.integers(len(photos))], int(rng.integers(4))
    points = rng.uniform(-5, 70, (int(rng.integers(1, 5)), 2)).round(3).tolist()
    drawn = {"photo": photo, "class": class_id, "width": float(rng.integers(1, 9))}
    one = {"photo": photo}
    return [
        {"kind": "class_add", "name": f"c{rng.integers(names)}"},
        {"kind": "class_rename", "class": class_id, "name": f"c{rng.integers(names)}"},
        {"kind": "class_remove", "class": class_id},
        {"kind": "stroke", **drawn, "points": points},
        {"kind": "fix", **drawn, "points": points},
        {"kind": "stroke", **drawn, "class": 255, "points": points},
        {
            "kind": "box",
            **one,
            "class": class_id,
            "box": rng.uniform(0, 60, 4).tolist(),
        },
        {"kind": "tag", **one, "class": class_id, "on": bool(rng.integers(2))},
        *({"kind": k, **one} for k in ("undo", "undo", "redo", "accept", "reject")),
        *({"kind": k, **one} for k in ("none", "reopen")),
    ][rng.integers(15)]


def test_replaying_gives_the_same_state():
    rng, client = np.random.default_rng(5), Client()
    refused = 0
    for _ in range(2000):
        try:
            client.do(random_action(rng, ["a", "b", "c/d"]))
        except UserError:
            refused += 1
    assert 100 < refused < 1500
    assert replayed(client.entries) == client.state


def test_what_is_not_known_is_passed_over():
    assert replayed([{"n": 4, "kind": "of_later"}]).n == 4
