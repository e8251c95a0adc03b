"""All that the server refuses."""

import numpy as np
import pytest

from tests.label.clients import BASE, TOKEN
from tests.label.clients import get as _get
from tests.label.clients import is_refused as _is_refused
from tests.label.clients import post as _post

GETS = ("/", "/api/state", "/thumbnail/0", "/photo/0", "/mask/0", "/marks/0")
POSTS = ("/api/actions", "/api/propose", "/api/export", "/api/train")


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


@pytest.mark.parametrize("path", [*GETS, *POSTS, "/page/main.js"])
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
        *("/photo/-1", "/photo/4", "/photo/1e3", "/photo/0.png"),
        *("/photo/%2e%2e%2fp0.png", "/thumbnail/..%2f..%2fetc%2fpasswd", "/mask/٣"),
        *("/photo/" + "9" * 5000, "/marks/%00", "/page/index.html", "/journal.jsonl"),
        *(
            "/../journal.jsonl",
            "/page/%2e%2e%2fapp.py",
            "/page/x.js",
            "/photo/0x1",
            "/photo/ 1",
        ),
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
