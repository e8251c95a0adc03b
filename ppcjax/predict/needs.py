"""What may be lowered where a prediction has too little memory."""

from collections.abc import Mapping
from typing import Any

from ppcjax.console import memory

# Settings that memory grows with, the most harmless first -> how they are lowered.
SETTINGS = {
    "batch_size": "lower",
    "workers": "lower",
    "max_side": "lower",
    "scales": "give smaller",
    "size": "lower",
    "shots": "give smaller",
}
MOST = 3  # settings that are named


def advice(values: Mapping[str, Any], prefix: str) -> list[str]:
    """Settings of an evaluation to lower, with their values; the best first.

    Args:
        values: settings by name, see `ppcjax.fields.flat`.
        prefix: what stands before the name of a setting where it is typed.
    """
    return memory.to_lower(values, SETTINGS, prefix)[:MOST]
