"""What the races run on: settings of configs, kept so that no config is read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_name("race_settings.json")
# By method: the config, number of classes, and what the race changes.
RACES = {
    "pixpro": (
        "configs/pixpro_imagenet.py",
        1000,
        {},
        {
            "jitter": (0.0, 0.0, 0.0, 0.0),
            "greyscale_share": 0.0,
            "blur_shares": (0.0, 0.0),
            "solarize_shares": (0.0, 0.0),
        },
    ),
    "contrastive_seg": (
        "configs/contrastive_cityscapes.py",
        19,
        {"warmup_steps": 0},
        {"brightness_shift": 0},
    ),
    "ppc": ("configs/ppc_voc.py", 21, {}, {"jitter": (0.0, 0.0, 0.0, 0.0)}),
    "ppc_mobilenet": (
        "configs/ppc_mobilenet.py",
        21,
        {"contrast_start": 0, "prototype_photos": "all"},
        {"jitter": (0.0, 0.0, 0.0, 0.0)},
    ),
    "asgnet": ("configs/asgnet_voc.py", 21, {}, {"blur": 0.0}),
}


def write() -> None:
    """Stores what the races read of the configs."""
    from benchmarks import config

    stored = {name: config.load(path) for name, (path, *_) in RACES.items()}
    stored = {
        name: {key: c[key] for key in ("method", "optim", "steps", "data")}
        for name, c in stored.items()
    }
    STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def read(
    method: str,
    *,
    dtype: str | None = None,
    batch: int | None = None,
    crop: Sequence[int] = (),
    colours: bool = False,
) -> tuple[dict[str, Any], int]:
    """Settings of a race, and the number of classes.

    Args:
        method: a key of RACES.
        dtype: type of the convolutions; None for the config's.
        batch: images of a batch; None for the config's.
        crop: side of a photo, or rows and columns; empty for the config's.
        colours: whether our step has its random colours.
    """
    settings = json.loads(STORED.read_text())[method]
    _, num_classes, always, plain = RACES[method]
    settings["method"] |= always | ({} if colours else plain)
    if dtype:
        settings["method"]["dtype"] = dtype
    if batch:
        settings["data"]["batch_size"] = batch
    if "batch_size" in settings["optim"]:
        settings["optim"]["batch_size"] = settings["data"]["batch_size"]
    if crop:
        settings["data"]["crop"] = crop[0] if len(crop) == 1 else list(crop)
    return settings, num_classes
