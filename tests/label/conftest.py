"""What tests of the server and of its page share."""

import pytest

from tests.label import clients, worlds
from tests.label.pages import Page
from tests.label.processes import Server, write_config, write_photos


@pytest.fixture
def session(tmp_path):
    """A session of four photos."""
    opened = worlds.session(worlds.write_photos(tmp_path / "photos"))
    yield opened
    opened.close()


@pytest.fixture
def client(session):
    """A client of that session."""
    return clients.client_of(session)


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    """A config of a tiny network."""
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def start(config):
    """Starts servers, and kills them at the end."""
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
    photos = write_photos(tmp_path_factory.mktemp("shared") / "photos")
    server = Server(photos, config)
    yield server
    server.kill()


@pytest.fixture
def page(browser, shared):
    """The page with a class."""
    found = Page(browser, shared.url)
    if not found.ask("api/state")["classes"]:
        found.add_class("thing")
    found.choose(1)
    return found
