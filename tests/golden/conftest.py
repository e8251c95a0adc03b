"""Whole networks take memory: each file forgets its own."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forgets compiled programs after each file: together they take gigabytes."""
    yield
    jax.clear_caches()
