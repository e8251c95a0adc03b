"""Segmentation with few masks or none, in JAX."""

__all__ = ["load"]


def __getattr__(name: str):
    # Restoring takes seconds to import, which training does not need.
    if name == "load":
        from ppcjax.predictor import load

        return load
    raise AttributeError(f"module 'ppcjax' has no attribute {name!r}")
