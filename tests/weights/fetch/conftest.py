"""A server, empty caches, and the message that a user gets."""

import pytest

from ppcjax.weights import download, known
from tests.weights.fetch.web import WEIGHTS, serve


@pytest.fixture
def web():
    with serve() as web:
        web.files["/net.pth"] = WEIGHTS
        web.repositories["owner/net"] = {
            "model.safetensors": WEIGHTS,
            "README.md": b"#",
        }
        yield web


@pytest.fixture
def cache(tmp_path, monkeypatch, web):
    """A cache of our own and one of the hub's, both empty; the hub is the server."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setenv("PPCJAX_WEIGHTS", str(tmp_path / "ours"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        web.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(download, "PAUSE", 0.01)
    return tmp_path / "ours"


@pytest.fixture
def row(web, monkeypatch):
    def make(**changes):
        fields = dict(id="net", network="net", licence="MIT", naming="timm")
        row = known.Row(**fields | changes)
        monkeypatch.setattr(known, "rows", lambda: (row,))
        return row

    return make
