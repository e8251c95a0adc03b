"""Small scenes whose ids are known, and how masks of them are written.

A test writes a scene in the way of some tool and asks that the very same ids come back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.data.fake_data import picture

WIDTH = 24
VOID = 255
# Sorted, as names are that only tags give; and in another order, as lists give them.
SORTED = ("ant", "cow", "grass")
LISTED = ("zebra", "ant", "cow")
COLOURS = ((0, 0, 0), (250, 50, 83), (61, 61, 245), (9, 200, 90))
PALETTE = np.random.default_rng(7).permutation(256 * 3)[:768].astype(np.uint8)


class View(NamedTuple):
    """One photo and what it shows.

    photo: [h, 24, 3] uint8.
    mask: [h, 24] uint8: 0 background, i the i-th class, 255 unknown.
    """

    photo: np.ndarray
    mask: np.ndarray

    @property
    def ids(self) -> tuple[int, ...]:
        """The classes that it shows, without background and void."""
        return tuple(int(i) for i in np.unique(self.mask) if i not in (0, VOID))


Scene = dict[str, View]


class Good(NamedTuple):
    """A folder that can be read, and what must come out.

    folder: root of the data set.
    classes: names, background first.
    scene: photos and masks by file name without suffix.
    splits: names of each split.
    data: settings of config.data besides source and root.
    tags: names of each photo's classes; None: those that its mask shows.
    masks: False where the folder says only which classes a photo shows.
    missing: names of photos without a mask.
    """

    folder: Path
    classes: tuple[str, ...]
    scene: Mapping[str, View]
    splits: Mapping[str, tuple[str, ...]]
    data: Mapping[str, object] = {}
    tags: Mapping[str, tuple[str, ...]] | None = None
    masks: bool = True
    missing: tuple[str, ...] = ()

    def tags_of(self, name: str) -> tuple[str, ...]:
        """The names of the classes of a photo, in the order of their ids."""
        if self.tags is not None:
            return self.tags[name]
        return tuple(self.classes[i] for i in self.scene[name].ids)


def scene(
    seed: int = 0,
    count: int = 6,
    classes: int = 3,
    *,
    void: bool = True,
    empty: bool = True,
    start: str = "p",
) -> Scene:
    """Photos p0, p1, ... with rectangles of classes that all occur.

    Args:
        seed: which scene.
        count: photos, more than `classes`.
        classes: number of classes besides the background.
        void: whether some masks have a column of 255.
        empty: whether the last photo shows nothing.
        start: what the names begin with.
    """
    rng = np.random.default_rng(seed)
    views = {}
    for i in range(count):
        height = int(rng.integers(13, 19))
        mask = np.zeros((height, WIDTH), np.uint8)
        for part in range(2) if not (empty and i == count - 1) else ():
            left, right = np.sort(rng.choice(np.arange(1, 11), 2, replace=False))
            top, bottom = np.sort(rng.choice(np.arange(1, 11), 2, replace=False))
            chosen = 1 + (i if part == 0 else int(rng.integers(classes))) % classes
            shift = 12 * part
            mask[top : bottom + 1, left + shift : right + shift + 1] = chosen
        if void and i % 2 == 0:
            mask[:, 12] = VOID
        views[f"{start}{i}"] = View(picture(height, WIDTH, 100 * seed + i), mask)
    return views


def halves(views: Scene, train: int = 4) -> dict[str, tuple[str, ...]]:
    """The first photos as split train, the others as val."""
    names = tuple(views)
    return {"train": names[:train], "val": names[train:]}


def save(path: Path, array, **settings) -> Path:
    """Writes an array or a picture, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        settings.setdefault("quality", 95)
    image.save(path, **settings)
    return path


def palette(mask: np.ndarray, colours=PALETTE) -> Image.Image:
    """A picture whose indices are the ids, in colours that mean nothing."""
    image = Image.fromarray(mask).copy()
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    return image


def coloured(mask: np.ndarray, colours=COLOURS, void=(224, 224, 192)) -> np.ndarray:
    """[h, w, 3] uint8: each id in its colour."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    table[VOID] = void
    return table[mask]


def _npy(path: Path, mask: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mask)
    return path


# Every lossless way to write ids: (path without suffix, mask) -> file.
ENCODERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "grey": lambda p, m: save(with_end(p, ".png"), m),
    "palette": lambda p, m: save(with_end(p, ".png"), palette(m)),
    "grey_palette": lambda p, m: save(
        with_end(p, ".png"), palette(m, np.arange(256).repeat(3))
    ),
    "capitals": lambda p, m: save(with_end(p, ".PNG"), m),
    "16_bit": lambda p, m: save(with_end(p, ".png"), m.astype(np.uint16)),
    "rgb_equal": lambda p, m: save(with_end(p, ".png"), np.stack([m] * 3, -1)),
    "rgba_equal": lambda p, m: save(
        with_end(p, ".png"), np.stack([m, m, m, np.full_like(m, 255)], -1)
    ),
    "tif": lambda p, m: save(with_end(p, ".tif"), m),
    "tiff_lzw": lambda p, m: save(with_end(p, ".tiff"), m, compression="tiff_lzw"),
    "tif_palette": lambda p, m: save(with_end(p, ".tif"), palette(m)),
    "bmp": lambda p, m: save(with_end(p, ".bmp"), m),
    "bmp_palette": lambda p, m: save(with_end(p, ".bmp"), palette(m)),
    "gif": lambda p, m: save(with_end(p, ".gif"), m),
    "npy": lambda p, m: _npy(with_end(p, ".npy"), m),
    "npy_int64": lambda p, m: _npy(with_end(p, ".npy"), m.astype(np.int64)),
}


def with_end(path: Path, end: str) -> Path:
    """The path with something behind its name, which may hold dots."""
    return path.with_name(path.name + end)


def write_photos(folder: Path, views: Mapping[str, View], end: str = ".png") -> None:
    """Writes the photos of a scene into one folder."""
    for name, view in views.items():
        save(folder / f"{name}{end}", view.photo)


def write_masks(folder: Path, views, how: str = "grey", after: str = "") -> None:
    """Writes the masks of a scene; `after` follows the names of the photos."""
    for name, view in views.items():
        ENCODERS[how](folder / f"{name}{after}", view.mask)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Writes a text file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def tag_rows(views, classes, *, end=".png", between=" ") -> list[tuple[str, str]]:
    """File name and tags of each photo, `background` for one that shows none."""
    return [
        (name + end, between.join(classes[i - 1] for i in view.ids) or "background")
        for name, view in views.items()
    ]


def write_tags(root: Path, views, classes=SORTED, end=".png") -> Path:
    """A plain tags.csv."""
    rows = [("image", "tags"), *tag_rows(views, classes, end=end)]
    return write_text(root / "tags.csv", "".join(f"{a},{b}\n" for a, b in rows))


def lines(names) -> str:
    """One a line."""
    return "".join(f"{name}\n" for name in names)
