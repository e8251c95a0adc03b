"""Makes JAX strict and quick to compile, gives it two devices, keeps programs."""

import os
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compile far longer than they compute.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import pytest

from tests.report.browser import start

_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "jax"
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
jax.config.update("jax_numpy_rank_promotion", "raise")


# Seconds after which a test that never ends fails with its stack, several times what
# the longest takes on a busy machine.
_PATIENCE = {"slow": 1800, "": 600}


def pytest_collection_modifyitems(items):
    for item in items:
        if not item.get_closest_marker("long"):
            kind = "slow" if item.get_closest_marker("slow") else ""
            item.add_marker(pytest.mark.timeout(_PATIENCE[kind]))


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of pages: see tests/report/browser.py."""
    found = start()
    yield found
    found.quit()
