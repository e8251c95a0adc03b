"""What a config may lower where a run has too little memory."""

from collections.abc import Mapping
from typing import Any

import jax

from ppcjax.console import memory

# Settings that memory grows with, the most harmless first -> how they are lowered.
OF_DATA = {"batch_size": "lower", "crop": "lower", "shot": "lower", "way": "lower"}
OF_METHOD = {
    "region_slots": "lower",
    "pixel_slots": "lower",
    "contrast_block": "lower",
    "max_anchors": "lower",
    "max_views": "lower",
    "queue": "lower",
}
MOST = 3  # settings that are named


def advice(config: Mapping[str, Any]) -> list[str]:
    """Settings of a config to lower, with their values; the best first.

    Args:
        config: config of a run, JSON types; may be empty.
    """
    data, method = config.get("data") or {}, config.get("method") or {}
    found = memory.to_lower(data, OF_DATA, "config.data.")
    parts = config.get("accumulate", 1)
    if data.get("batch_size", 0) <= jax.device_count() * parts:
        found = [one for one in found if "batch_size" not in one]
    else:
        found.insert(1, f"raise config.accumulate ({parts})")
    if method.get("dtype") == "float32":
        found.append("set config.method.dtype=bfloat16")
    found += memory.to_lower(method, OF_METHOD, "config.method.")
    return found[:MOST]
