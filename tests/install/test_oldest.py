"""The wheel on the oldest Python of this machine that the program supports."""

import pytest

from tests.install.installed import *  # noqa: F403

pytestmark = pytest.mark.slow
PLACE = 0  # among those that pythons.find lists
