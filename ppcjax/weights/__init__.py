"""Weights of others and of runs: in by name, file or address, out by name."""

from ppcjax.weights.loading import load_into
from ppcjax.weights.start import as_before, find, settings_of

__all__ = ["as_before", "find", "load_into", "settings_of"]
