"""What tests of the server share."""

import pytest

from tests.label import clients, worlds


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
