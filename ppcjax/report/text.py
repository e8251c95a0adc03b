"""Numbers as text, results as JSON."""

import math
from typing import Any

import numpy as np


def percent(share: float | None) -> str:
    """A share in 0..1 as text; "-" where it is undefined."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def as_json(value: Any) -> Any:
    """Arrays as lists, NumPy numbers as Python's, NaN as None; keys as text."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
