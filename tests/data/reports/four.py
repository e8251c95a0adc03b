"""Four photos, and the usual things beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.data.reading import Outcome
from tests.data.scenes import Good, View, lines, picture, save, write_text

Member = Callable[[Path], Outcome]
NAMES = ("p0", "p1", "p2", "p3")
CLASSES = ("background", "cow", "grass")
OF_FOUR = ((1,), (1,), (2,), (2,))


def views(ids=OF_FOUR) -> dict[str, View]:
    """Photos p0, p1, ... whose masks show the given ids in stripes beside 0."""
    found = {}
    for i, own in enumerate(ids):
        mask = np.zeros((16, 24), np.uint8)
        for stripe, value in enumerate(own):
            mask[:, 6 + 8 * stripe : 13 + 8 * stripe] = value
        found[f"p{i}"] = View(picture(16, 24, 50 + i), mask)
    return found


def photos(root, scene, end=".jpg", folder=""):
    """Writes the photos."""
    for name, view in scene.items():
        save(root / folder / f"{name}{end}", view.photo)


def masked(root, ids=OF_FOUR, place="masks/{}.png", names=None, change=None):
    """Photos with masks, and a class list where names are given."""
    scene = views(ids)
    photos(root, scene)
    for name, view in scene.items():
        drawn = view.mask if change is None else change(view.mask)
        save(root / place.format(name), drawn)
    if names is not None:
        write_text(root / "classes.txt", lines(names))
    return scene


def good(root, scene, classes=CLASSES, **changes) -> Good:
    """What must come out of the split "all"."""
    return Good(root, classes, scene, {"all": tuple(scene)}, **changes)


def read(root, scene, *said, classes=CLASSES, refused=(), data=(), needs="", **changes):
    """The ids of the scene must come out; or an error, where some are allowed."""
    expected = good(root, scene, classes, **changes)
    return Outcome(expected, refused, said, dict(data), needs=needs)


def refused(*parts, splits=(), needs="", **data) -> Outcome:
    """An error must say one of the parts."""
    return Outcome(refused=parts, splits=splits, data=data, needs=needs)


def tagged(root, table, *, encoding="utf-8", end=".jpg", name="tags.csv"):
    """Four photos with a table that is given as text."""
    scene = views()
    photos(root, scene, end)
    write_text(root / name, table, encoding)
    return scene


def tags_read(root, tags, *said, classes=CLASSES, scene=None, refused=(), data=()):
    """The tags must come out, one tuple per photo."""
    scene = scene or views()
    named = dict(zip(scene, tags, strict=True))
    return read(root, scene, *said, classes=classes, refused=refused, data=data,
                tags=named, masks=False)  # fmt: skip
