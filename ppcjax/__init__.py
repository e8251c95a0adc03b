"""Segmentation with few masks or none, in JAX."""

from ppcjax.checkout import find_packages

__all__ = ["load"]

find_packages()


def __getattr__(name: str):
    # Restoring takes seconds to import, which training does not need.
    if name == "load":
        from ppcjax.predict.photos import load

        return load
    raise AttributeError(f"module 'ppcjax' has no attribute {name!r}")
