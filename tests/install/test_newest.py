"""The wheel on the newest Python of this machine that the program supports."""

import pytest

from tests.install.installed import *  # noqa: F403

pytestmark = pytest.mark.slow
PLACE = -1  # among those that pythons.find lists
