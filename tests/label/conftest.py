"""Servers for tests of the page, and the page of one in a browser."""

import pytest


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    """A config of a tiny network; skips where the libraries of the server lack."""
    pytest.importorskip("starlette", reason="starlette is not installed")
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    from tests.label.server import write_config

    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def start(config):
    """Starts servers, and kills them at the end."""
    from tests.label.server import Server

    started = []

    def run(photos, *more):
        started.append(Server(photos, config, *more))
        return started[-1]

    yield run
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def shared(config, tmp_path_factory):
    """One server for what needs no server of its own; each test has its photo."""
    from tests.label.server import Server, write_photos

    photos = write_photos(tmp_path_factory.mktemp("shared") / "photos")
    server = Server(photos, config)
    yield server
    server.kill()


@pytest.fixture
def page(browser, shared):
    """The page with a class."""
    from tests.label.pages import Page

    found = Page(browser, shared.url)
    if not found.ask("api/state")["classes"]:
        found.add_class("thing")
    found.choose(1)
    return found
