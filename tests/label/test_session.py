"""A session: what is settled, shown and kept, over restarts and odd events."""

import copy
import shutil
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from ppcjax.label import composing, view
from ppcjax.label.marks import shares
from ppcjax.label.session import JOURNAL, Session
from ppcjax.runs import checked
from ppcjax.types import IGNORE, UserError
from tests.label import worlds

PROGRESS = {"features": [0, 0], "proposals": [0, 0], "training": None}


@pytest.fixture
def root(tmp_path):
    return worlds.write_photos(tmp_path / "photos")


@pytest.fixture
def opened(root):
    session = worlds.session(root)
    worlds.marked(session)
    yield session
    session.close()


def _do(session, kind, photo=0, **more):
    done = session.do([{"kind": kind, "photo": photo, **more}])
    assert not done["refused"], done


def _refused(session, kind, photo=0, **more):
    (one,) = session.do([{"kind": kind, "photo": photo, **more}])["refused"]
    return one["error"]


def _photo(session, i=0):
    return view.of(session, PROGRESS)["photos"][i]


def _again(session):
    """The same after the process was killed: nothing is closed or written."""
    root = session.album.root
    return worlds.session(root)


def test_accepting_makes_a_mask_of_the_proposal_and_the_marks(opened, root):
    assert _photo(opened)["status"] == "marked" and _photo(opened)["mask"] is None
    mask = worlds.propose(opened)
    composing.write_all(opened)
    one = _photo(opened)
    assert (one["status"], one["uncertainty"]) == ("proposed", 0.25)
    assert one["areas"][1] == pytest.approx(30 * 32 / 48 / 60, abs=1e-3)
    _do(opened, "accept", mask=one["mask"])
    assert _photo(opened)["status"] == "accepted"
    fix = {"class": 2, "points": [[5, 40], [15, 40]], "width": 4}
    _do(opened, "fix", **fix)
    composing.write_all(opened)
    file = opened.store.mask_file("p0")
    found = np.asarray(Image.open(file))
    assert found[40, 10] == 2 and found[20, 20] == 1 and found[3, 30] == 0
    mask[composing.mask(opened, 0) == 2] = 2
    assert (found == mask).all()
    assert _photo(opened)["areas"] == shares(found)
    _do(opened, "undo")
    composing.write_all(opened)
    assert 2 not in np.asarray(Image.open(file))
    _do(opened, "reopen")
    composing.write_all(opened)
    assert not file.exists() and _photo(opened)["status"] == "proposed"


def test_everything_is_there_after_a_kill(opened):
    worlds.propose(opened, 0)
    _do(opened, "accept")
    _do(opened, "none", 1)
    worlds.propose(opened, 2)
    _do(opened, "tag", 3, **{"class": 2, "on": True})
    _do(opened, "reject", 3)
    before = view.of(opened, PROGRESS)
    again = _again(opened)
    composing.write_all(again)
    after = view.of(again, PROGRESS)
    for one in (before, after):
        del one["version"], one["progress"]
    for one in before["photos"]:  # which only the written masks tell
        one["areas"] = one["areas"] or after["photos"][one["id"]]["areas"]
    assert after == before
    statuses = [photo["status"] for photo in after["photos"]]
    assert statuses == ["accepted", "none", "proposed", "rejected"]
    assert again.state == opened.state
    assert after["photos"][1]["areas"] == {0: 1.0}
    # Masks that were lost are made again.
    shutil.rmtree(again.folder / "masks")
    once_more = _again(again)
    composing.write_all(once_more)
    assert once_more.store.mask_file("p0").is_file()


def test_rejecting_throws_proposals_away_also_those_on_their_way(opened):
    after = opened.state.n
    worlds.propose(opened)
    _do(opened, "reject")
    assert _photo(opened)["status"] == "rejected"
    mask = np.zeros((48, 60), np.uint8)
    opened.propose(0, mask, 0.5, after=after)
    assert _photo(opened)["status"] == "rejected"
    opened.propose(0, mask, 0.5, after=opened.state.n)
    assert _photo(opened)["status"] == "proposed"


def test_what_was_not_seen_is_not_accepted(opened):
    worlds.propose(opened)
    seen = _photo(opened)["mask"]
    worlds.propose(opened)
    assert "has changed" in _refused(opened, "accept", mask=seen)
    assert "nothing is marked" in _refused(opened, "accept", 3)
    _do(opened, "accept", 1)  # by its marks alone
    mask = composing.mask(opened, 1)
    assert set(np.unique(mask)) == {0, 2, IGNORE}


def test_an_action_that_comes_twice_counts_once(opened):
    action = worlds.stroke(0, 1, (5, 5), id="tab1-7")
    for _ in range(3):
        done = opened.do([action, action])
        assert done["applied"] == ["tab1-7"] * 2
    assert _photo(opened)["marks"] == 3
    again = _again(opened)
    assert again.do([action])["applied"] == ["tab1-7"] and again.state == opened.state


def test_one_that_is_refused_does_not_keep_others_away(opened):
    asked = [
        {"kind": "undo", "photo": 3, "id": "a"},
        worlds.stroke(3, 1, (5, 5), id="b"),
        worlds.stroke(77, 1, (5, 5), id="c"),
        worlds.stroke("../p0.png", 1, (5, 5), id="d"),
        worlds.stroke(True, 1, (5, 5), id="e"),
        "nonsense",
    ]
    done = opened.do(asked)
    assert done["applied"] == ["b"]
    assert [one["id"] for one in done["refused"]] == ["a", "c", "d", "e", None]


def test_a_photo_that_is_gone(opened, root):
    (root / "p0.png").unlink()
    opened._looked = 0
    assert _photo(opened)["status"] == "missing"
    assert "is gone" in _refused(
        opened, "stroke", **{"class": 1, "points": [[1, 1]]} | {"width": 2}
    )
    again = _again(opened)  # its marks stay, for when it comes back
    assert len(again.album) == 3 and again.state.photo("p0.png").items
    worlds.write_photos(root)
    assert len(_again(opened).state.photo("p0.png").items) == 2


def test_a_full_disk_acknowledges_nothing(opened):
    before, version = opened.state.n, copy.deepcopy(opened.state)
    refuse = OSError(28, "No space left on device")
    with mock.patch("os.write", side_effect=refuse), pytest.raises(UserError):
        opened.do([worlds.stroke(0, 1, (5, 5))])
    assert opened.state.n == before and opened.state == version
    opened.do([worlds.stroke(0, 1, (5, 5))])
    assert opened.state.n == before + 1 and _again(opened).state == opened.state


def test_nothing_is_written_among_the_photos(opened, root):
    before = sorted(root.rglob("*"))
    worlds.propose(opened)
    _do(opened, "accept")
    composing.write_all(opened)
    opened.album.shown(0, 256)
    assert sorted(root.rglob("*")) == before
    assert (opened.folder / ".thumbnails/256/p0.jpg").is_file()


def test_masks_and_tags_that_are_there(tmp_path):
    root = tmp_path / "photos"
    worlds.write_photos(root / "images")
    (root / "masks").mkdir()
    mask = np.zeros((48, 60), np.uint8)
    mask[worlds.SQUARE], mask[0] = 2, 255
    Image.fromarray(mask).save(root / "masks/p1.png")
    (root / "classes.txt").write_text("background\ncat\ndog\n")
    (root / "tags.csv").write_text("image,tags\np0.png,cat\np1.png,dog\n")
    session = worlds.session(root)
    shown = view.of(session, PROGRESS)
    assert [one["name"] for one in shown["classes"]] == ["cat", "dog"]
    assert [photo["found"] for photo in shown["photos"]] == [False, True, False, False]
    assert [photo["tags"] for photo in shown["photos"]] == [[1], [2], [], []]
    assert any(
        "1 photo has a mask already" in line for line in shown["progress"]["said"]
    )
    assert "no mask was found" in _refused(session, "import", **{"as": "accepted"})
    _do(session, "import", 1, **{"as": "proposal"})
    assert _photo(session, 1)["status"] == "proposed"
    assert (composing.mask(session, 1) == mask).all()
    _do(session, "import", 1, **{"as": "accepted"})
    session.do([{"kind": "class_rename", "class": 2, "name": "wolf"}])
    again = _again(session)
    assert again.state == session.state and _photo(again, 1)["status"] == "accepted"
    assert (composing.mask(again, 1) == mask).all()


def test_photos_of_phones_and_large_ones(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    image = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # turned
    image.save(root / "turned.jpg", exif=exif)
    Image.fromarray(np.zeros((3000, 5000, 3), np.uint8)).save(root / "large.jpg")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xffnothing")
    session = worlds.session(root)
    sizes = {
        p["name"]: (p["width"], p["height"])
        for p in view.of(session, PROGRESS)["photos"]
    }
    assert sizes == {
        "turned.jpg": (40, 80),
        "large.jpg": (5000, 3000),
        "broken.jpg": (0, 0),
    }
    large = session.album.place("large.jpg")
    shown = session.album.shown(large, 2048)
    assert shown.size == (1229, 2048) and shown.full == (3000, 5000)
    session.do([{"kind": "class_add", "name": "a"}])
    session.do([worlds.stroke(large, 1, (2500, 1500), width=400)])
    _do(session, "accept", large)
    assert composing.mask(session, large, 2048).shape == (1229, 2048)
    composing.write_all(session)
    assert Image.open(session.store.mask_file("large")).size == (5000, 3000)


def test_the_journal_is_lines_with_digests(opened):
    text = (opened.folder / JOURNAL).read_text().splitlines()
    assert all(checked.parse(line)["sum"] for line in text)
    assert isinstance(opened, Session)
