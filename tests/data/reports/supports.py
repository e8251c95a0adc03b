"""Examples for few-shot use: their masks, and the lists beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.data.reports.four import OF_FOUR, views
from tests.data.scenes import View, save, write_text


class Examples(NamedTuple):
    """What must be read of a folder of examples.

    scene: photos and the masks that must come out.
    names: names of the classes.
    said: this stands in the account, in any case of letters.
    refused: one of these stands in the error; empty: it must be read.
    """

    scene: dict[str, View]
    names: tuple[str, ...] = ()
    said: str = ""
    refused: tuple[str, ...] = ()


Member = Callable[[Path], Examples]


def _member(ids=((1,),), text=None, *, change=None, encoding="utf-8", **expected):
    """A member: examples with masks and maybe a class list."""

    def member(root):
        scene = views(ids)
        for name, view in scene.items():
            drawn = view.mask if change is None else change(view.mask)
            save(root / f"{name}.jpg", view.photo)
            save(root / f"masks/{name}.png", drawn)
        if text is not None:
            write_text(root / "classes.txt", text, encoding)
        return Examples(scene, **expected)

    return member


def _times_255(mask):
    return np.where(mask > 0, 255, 0).astype(np.uint8)


BOLT = ("bolt",)
KINDS: dict[str, dict[str, Member]] = {
    "support_0_255": {
        "reported": _member(change=_times_255, said="255"),
        "five": _member(((1,),) * 5, change=_times_255, said="255"),
        "named": _member(text="bolt\n", change=_times_255, names=BOLT, said="255"),
        "three_channels": _member(
            change=lambda mask: np.stack([_times_255(mask)] * 3, -1), said="255"
        ),
        "ones_and_unknown": _member(((1, 255), (1,))),
        "two_classes": _member(
            OF_FOUR, "bolt\nnut\n", change=_times_255, refused=("255", "masks/p")
        ),
        "only_255": _member(
            change=lambda mask: np.full_like(mask, 255), refused=("255", "p0", "shows")
        ),
    },
    "support_class_list_with_background": {
        "reported": _member(text="background\nbolt\n", names=BOLT),
        "no_background": _member(text="bolt", names=BOLT),
        "mark": _member(text="\ufeffBackground\r\nbolt\r\n", names=BOLT),
        "numbered": _member(text="0: background\n1: bolt\n", names=BOLT),
        "wide": _member(text="background\nbolt\n", encoding="utf-16", names=BOLT),
        "two": _member(OF_FOUR, "background\nbolt\nnut\n", names=("bolt", "nut")),
    },
}
