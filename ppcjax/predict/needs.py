"""What may be lowered where a prediction has too little memory."""

from typing import Any

from ppcjax import fields
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


def advice(settings: Any) -> list[str]:
    """Settings of an evaluation to lower, with their values; the best first.

    Args:
        settings: a dataclass of settings, such as `ppcjax.predict.tta.Scaling`.
    """
    return memory.to_lower(fields.flat(settings), SETTINGS, "eval.")[:MOST]
