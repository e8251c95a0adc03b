"""What the server gives, and what becomes of tabs and photos that change."""

import json
import threading

import numpy as np
from PIL import Image

from ppcjax.label.state import replayed
from tests.label import worlds
from tests.label.clients import TOKEN
from tests.label.clients import get as _get
from tests.label.clients import is_refused as _is_refused
from tests.label.clients import post as _post


def test_what_the_page_reads(client, session):
    worlds.marked(session)
    state = _get(client, "/api/state").json()
    assert [photo["name"] for photo in state["photos"]] == [
        f"p{i}.png" for i in range(4)
    ]
    assert state["counts"]["marked"] == 2 and state["counts"]["new"] == 2
    again = _get(client, f"/api/state?since={state['version']}")
    again = client.get("/api/state", params={"token": TOKEN, "since": state["version"]})
    assert again.json() == {"version": state["version"], "same": True}
    photo = _get(client, "/photo/1")
    assert photo.headers["content-type"] == "image/jpeg"
    assert photo.headers["x-full-width"] == "60" and photo.content[:2] == b"\xff\xd8"
    marks = _get(client, "/marks/1").json()
    assert len(marks["items"]) == 2 and marks["undo"] and not marks["redo"]
    _is_refused(_get(client, "/mask/1"), 404)
    mask = np.zeros((48, 60), np.uint8)
    mask[worlds.SQUARE] = 2
    session.propose(1, mask, 0.5, after=session.state.n)
    answer = _get(client, "/mask/1")
    (session.folder / "got.png").write_bytes(answer.content)
    image = Image.open(session.folder / "got.png")
    assert image.mode == "P" and np.asarray(image)[25, 25] == 2
    assert image.getpalette()[6:9] == [0x3C, 0xB4, 0x4B]


def test_actions_and_export(client, session):
    from ppcjax.data_pipelines import SOURCES

    worlds.marked(session)
    done = _post(client, "/api/actions", {"actions": [{"kind": "accept", "photo": 0}]})
    assert done.json()["refused"] == [] and done.json()["version"]
    _is_refused(_post(client, "/api/export", {"formats": ["xml"]}), 400)
    _is_refused(_post(client, "/api/export", {"formats": []}), 400)
    _is_refused(_post(client, "/api/export", {"formats": ["coco"], "which": "x"}), 400)
    tag = {"kind": "tag", "photo": 2, "class": 1, "on": True}
    _post(client, "/api/actions", {"actions": [tag, tag | {"class": 2}]})
    found = _post(client, "/api/export", {"formats": ["png_grey", "coco"]}).json()
    folder = session.folder / "exports" / "0001"
    assert found["folder"] == str(folder)
    mask = np.asarray(Image.open(folder / "png_grey/masks/p0.png"))
    assert mask[25, 25] == 1 and mask[3, 30] == 0 and mask[45, 45] == 255
    source = SOURCES["folder"]("all", root=str(folder / "tags"))
    assert source.ids == ("p2",) and source.classes == ("background", "red", "green")
    tags = source.record(source.ids.index("p2")).tags()
    names = {source.classes[i] for i in np.flatnonzero(tags)} - {"background"}
    assert names == {"red", "green"}
    _post(client, "/api/export", {"formats": ["yolo"], "which": "all"})
    assert (session.folder / "exports/0002/yolo/data.yaml").is_file()
    only = _post(client, "/api/export", {"formats": []}).json()
    assert "ppc_dino_folder" in only["said"][0] and len(only["said"]) == 1


def test_training_needs_masks(client, session):
    worlds.marked(session)
    _is_refused(_post(client, "/api/train", {}), 400)
    _is_refused(_post(client, "/api/propose", {"photo": 99}), 400)
    _is_refused(_post(client, "/api/propose", {"photo": "0"}), 400)
    assert _post(client, "/api/propose", {"photo": None}).json() == {"started": True}


def test_two_tabs_that_write_at_once_are_merged(client, session):
    session.do([{"kind": "class_add", "name": "a"}])
    answers = []

    def tab(name):
        for i in range(25):
            action = worlds.stroke(i % 2, 1, (i, 5), id=f"{name}-{i}")
            found = _post(client, "/api/actions", {"actions": [action]})
            answers.append(found.json())

    tabs = [threading.Thread(target=tab, args=(name,)) for name in "abc"]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert all(answer["applied"] and not answer["refused"] for answer in answers)
    photos = _get(client, "/api/state").json()["photos"]
    assert sum(photo["marks"] for photo in photos) == 75
    lines = (session.folder / "journal.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["n"] for entry in entries] == list(range(77))
    assert replayed(entries) == session.state


def test_a_photo_that_went_meanwhile(client, session):
    worlds.marked(session)
    session.album.file(0).unlink()
    session._looked = 0
    assert _get(client, "/api/state").json()["photos"][0]["status"] == "missing"
    _is_refused(_get(client, "/photo/0"), 400)
    _is_refused(_get(client, "/thumbnail/0"), 400)
    action = worlds.stroke(0, 1, (5, 5))
    answer = _post(client, "/api/actions", {"actions": [action]}).json()
    assert "is gone" in answer["refused"][0]["error"]


def test_what_a_training_is_asked_to_do(client):
    for asked, said in (
        ({"do": "dance"}, "start, go on, stop"),
        ({"do": ["stop"]}, "start, go on, stop"),
        ({"do": "go on"}, "no training has ended"),
        ({"by": "stars"}, "masks, tags"),
    ):
        answer = _post(client, "/api/train", asked)
        _is_refused(answer, 400)
        assert said in answer.json()["error"]
    answer = _post(client, "/api/train", {"do": "stop"})
    assert answer.json() == {"stopped": False}
