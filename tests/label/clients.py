"""A client of the server's addresses, and what it expects of them."""

from starlette.testclient import TestClient

from ppcjax.label.app import App
from ppcjax.label.serving import names_of
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from tests.label import worlds

TOKEN = "0123456789abcdef" * 2
BASE = "http://127.0.0.1:8765"


def client_of(session) -> TestClient:
    """A client of a session, whose worker does not run."""
    worker = Worker(session, worlds.network)
    app = App(session, worker, Training(session, worker))
    made = app.made(TOKEN, names_of("127.0.0.1", 8765))
    return TestClient(made, base_url=BASE, raise_server_exceptions=False)


def get(client, path, **more):
    """Reads an address."""
    return client.get(path, params={"token": TOKEN}, **more)


def post(client, path, content, **headers):
    """Posts JSON types, or bytes as they are."""
    headers = {"X-Token": TOKEN, **headers}
    if isinstance(content, bytes):
        headers.setdefault("Content-Type", "application/json")
        return client.post(path, content=content, headers=headers)
    return client.post(path, json=content, headers=headers)


def is_refused(answer, *codes) -> None:
    """One of the codes, and one line that says why."""
    assert answer.status_code in codes, (answer.status_code, answer.text)
    found = answer.json()
    assert list(found) == ["error"]
    assert found["error"] and "\n" not in found["error"]
    assert "Traceback" not in found["error"]
