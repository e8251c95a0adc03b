"""The server's addresses: what they give, and all that they refuse."""

import json
import threading

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from ppcjax.label.app import App
from ppcjax.label.serving import names_of
from ppcjax.label.state import replayed
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from tests.label import worlds

TOKEN = "0123456789abcdef" * 2
BASE = "http://127.0.0.1:8765"


@pytest.fixture
def session(tmp_path):
    opened = worlds.session(worlds.write_photos(tmp_path / "photos"))
    yield opened
    opened.close()


@pytest.fixture
def client(session):
    worker = Worker(session, worlds.network)  # it does not run
    app = App(session, worker, Training(session, worker))
    made = app.made(TOKEN, names_of("127.0.0.1", 8765))
    return TestClient(made, base_url=BASE, raise_server_exceptions=False)


def _get(client, path, **more):
    return client.get(path, params={"token": TOKEN}, **more)


def _post(client, path, content, **headers):
    headers = {"X-Token": TOKEN, **headers}
    if isinstance(content, bytes):
        headers.setdefault("Content-Type", "application/json")
        return client.post(path, content=content, headers=headers)
    return client.post(path, json=content, headers=headers)


def _is_refused(answer, *codes):
    assert answer.status_code in codes, (answer.status_code, answer.text)
    found = answer.json()
    assert list(found) == ["error"]
    assert found["error"] and "\n" not in found["error"]
    assert "Traceback" not in found["error"]


GETS = ("/", "/api/state", "/thumbnail/0", "/photo/0", "/mask/0", "/marks/0")
POSTS = ("/api/actions", "/api/propose", "/api/export", "/api/train")


# ---- what it gives
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


def test_actions_and_export(client, session, tmp_path):
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
    for i in range(4):
        (tmp_path / "read").mkdir(exist_ok=True)
        (tmp_path / f"read/p{i}.png").write_bytes(session.album.file(i).read_bytes())
    (tmp_path / "read/tags.csv").write_bytes((folder / "tags.csv").read_bytes())
    source = SOURCES["folder"]("all", root=str(tmp_path / "read"))
    tags = source.record(source.ids.index("p2")).tags()
    names = {source.classes[i] for i in np.flatnonzero(tags)} - {"background"}
    assert names == {"red", "green"}
    _post(client, "/api/export", {"formats": ["yolo"], "which": "all"})
    assert (session.folder / "exports/0002/yolo/data.yaml").is_file()


def test_training_needs_masks(client, session):
    worlds.marked(session)
    _is_refused(_post(client, "/api/train", {}), 400)
    _is_refused(_post(client, "/api/propose", {"photo": 99}), 400)
    _is_refused(_post(client, "/api/propose", {"photo": "0"}), 400)
    assert _post(client, "/api/propose", {"photo": None}).json() == {"started": True}


# ---- what it refuses
@pytest.mark.parametrize("path", GETS)
def test_reading_needs_the_token(client, path):
    for query in ("", "?token=", f"?token={TOKEN[:-1]}", f"?token={TOKEN}&token=x"):
        _is_refused(client.get(path + query), 403)
    _is_refused(client.get(path, headers={"X-Token": "é".encode()}), 403)
    assert client.get(path, headers={"X-Token": TOKEN}).status_code in (200, 404)


@pytest.mark.parametrize("path", POSTS)
def test_posting_needs_the_token_as_a_header(client, path):
    _is_refused(client.post(path, json={}), 403)
    _is_refused(client.post(f"{path}?token={TOKEN}", json={}), 403)
    _is_refused(client.post(path, json={}, headers={"X-Token": "x"}), 403)


@pytest.mark.parametrize("path", [*GETS, *POSTS, "/label.js"])
def test_pages_of_others_and_other_names_are_refused(client, path):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:8765"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8765"},
        {"Host": "127.0.0.1:8765.evil.example"},
        {"Host": ""},
    ):
        headers = {**headers, "X-Token": TOKEN}
        if path in POSTS:
            _is_refused(client.post(path, json={}, headers=headers), 403)
        else:
            _is_refused(client.get(path, headers=headers), 403)
    if path != "/":
        foreign = {"Sec-Fetch-Site": "cross-site", "X-Token": TOKEN}
        _is_refused(client.get(path, headers=foreign), 403)
    own = {"Origin": BASE, "Host": "localhost:8765", "X-Token": TOKEN}
    assert client.get(path, headers=own).status_code != 403


@pytest.mark.parametrize(
    "path",
    [
        *("/photo/..", "/photo/-1", "/photo/4", "/photo/1e3", "/photo/0.png"),
        *("/photo/%2e%2e%2fp0.png", "/thumbnail/..%2f..%2fetc%2fpasswd", "/mask/٣"),
        *("/photo/" + "9" * 5000, "/marks/%00", "/page/index.html", "/journal.jsonl"),
        *("/../journal.jsonl", "/label.css/../../app.py", "/photo/0x1", "/photo/ 1"),
    ],
    ids=lambda path: ascii(path[:40]),
)
def test_what_is_not_there(client, path):
    _is_refused(_get(client, path), 404)


@pytest.mark.parametrize("side", ["-1", "1e9", "9" * 400, "x", ""])
def test_sides_that_are_none(client, side):
    answer = client.get("/photo/0", params={"token": TOKEN, "side": side})
    _is_refused(answer, 400)


def test_other_methods(client):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        headers = {"X-Token": TOKEN}
        _is_refused(client.request(method, "/api/state", headers=headers), 405)
    _is_refused(_post(client, "/api/state", {}), 405)
    _is_refused(_get(client, "/api/actions"), 405)


@pytest.mark.parametrize("path", POSTS)
def test_bodies_that_are_none(client, session, path):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        _is_refused(_post(client, path, b"{}", **{"Content-Type": kind}), 415)
    bodies = [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"a": NaN}', b"\0" * 9]
    bodies += [b"[" * 100_000, b'{"actions":' + b"[" * 200 + b"]" * 200 + b"}"]
    bodies += [b'{"actions": ' + b"9" * 6000 + b"}"]
    for body in bodies:
        _is_refused(_post(client, path, body), 400)
    assert session.state.n == 0


def test_huge_bodies(client, session):
    _is_refused(_post(client, "/api/actions", b" " * ((8 << 20) + 1)), 413)
    # Whatever its length claims to be.
    headers = {"X-Token": TOKEN, "Content-Type": "application/json"}

    def parts():
        for _ in range(20):
            yield b" " * (1 << 20)

    answer = client.post("/api/actions", content=parts(), headers=headers)
    _is_refused(answer, 413)
    for length in ("-5", "1e9", "9" * 40):
        claimed = {**headers, "Content-Length": length}
        _is_refused(client.post("/api/actions", content=b"{}", headers=claimed), 413)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"actions": None},
        {"actions": {}},
        {"actions": "x"},
        {"actions": [{}] * 1001},
    ],
)
def test_actions_that_are_no_list(client, given):
    _is_refused(_post(client, "/api/actions", given), 400)


def test_actions_of_wrong_types_are_refused_one_by_one(client, session):
    session.do([{"kind": "class_add", "name": "a"}])
    rng, n = np.random.default_rng(0), session.state.n
    odd = [None, True, -1, 1e300, "x" * 99, [], {}, [[]], "../../x", 10**30, "\0", 255]
    for _ in range(300):
        action = {
            "kind": ["stroke", "box", "fix", "tag", "import", "accept"][
                rng.integers(6)
            ],
            **{"photo": 0, "class": 1, "points": [[1, 1]], "width": 3, "on": True},
            **{"box": [1, 1, 5, 5], "as": "accepted"},
        }
        for name in rng.choice(sorted(action), 3):
            action[name] = odd[rng.integers(len(odd))]
        answer = _post(client, "/api/actions", {"actions": [action]})
        assert answer.status_code == 200, (action, answer.text)
        for one in answer.json()["refused"]:
            assert "\n" not in one["error"] and len(one["error"]) < 400
    assert session.state.n < n + 100
    _get(client, "/api/state").json()


def test_a_fault_of_the_server_is_a_line(client, session, monkeypatch, capsys):
    monkeypatch.setattr(session, "do", lambda asked: 1 / 0)
    _is_refused(_post(client, "/api/actions", {"actions": []}), 500)
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


def test_answers_say_what_a_browser_may_do_with_them(client):
    for answer in (_get(client, "/api/state"), client.get("/api/state")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'") and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


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
