"""Where things lie in the folders that are damaged, and what is expected then."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.data.layouts import LAYOUTS
from tests.data.reading import Outcome
from tests.data.scenes import Good, View

TEXT_ENDS = (".csv", ".txt", ".json", ".xml", ".yaml")


class Base(NamedTuple):
    """Where the parts of a layout lie, {} for the name of a photo.

    photo, mask: files below the root.
    text: the table or list that names the classes.
    """

    photo: str
    mask: str
    text: str


BASES = {
    "plain": Base("{}.png", "masks/{}.png", "tags.csv"),
    "images_labels": Base("images/{}.png", "labels/{}.png", "tags.csv"),
    "suffix_mask": Base("{}.png", "masks/{}_mask.png", "tags.csv"),
    "listed_grey": Base("images/{}.jpg", "masks/{}.png", "classes.txt"),
    "listed_palette": Base("images/{}.jpg", "masks/{}.png", "classes.txt"),
    "beside_flat": Base("{}.jpg", "{}_mask.png", "classes.txt"),
    "voc_ids": Base("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "labelmap.txt"),
    "voc_colours": Base(
        "JPEGImages/{}.jpg", "SegmentationClass/{}.png", "labelmap.txt"
    ),
    "binary": Base("images/{}.jpg", "masks/{}.png", "classes.txt"),
    "split_images": Base("train/images/{}.jpg", "train/masks/{}.png", "classes.txt"),
    "tags": Base("*/{}.jpg", "", ""),
}
TABLES = ("plain", "images_labels", "suffix_mask")
LISTS = ("listed_grey", "listed_palette", "beside_flat", "split_images")
IDS = (*TABLES, *LISTS)
MASKED = (*IDS, "voc_ids", "voc_colours", "binary")
COLOURED = ("voc_ids", "voc_colours")
EVERY = (*MASKED, "tags")


class Place(NamedTuple):
    """A good folder that is about to be damaged.

    good: what would come out of it.
    base: where its parts lie.
    rng: draws of this mutation.
    layout: name of the layout.
    """

    good: Good
    base: Base
    rng: np.random.Generator
    layout: str

    @property
    def root(self) -> Path:
        """The folder."""
        return self.good.folder

    @property
    def text(self) -> Path:
        """The table or the list of classes."""
        return self.root / self.base.text

    def pick(self) -> str:
        """The name of one photo that shows something."""
        return str(self.rng.choice([f"p{i}" for i in range(4)]))

    def photo(self, name: str) -> Path:
        """The file of a photo."""
        return next(iter(self.root.glob(self.base.photo.format(name))))

    def mask(self, name: str) -> Path:
        """The file of a mask of the first split."""
        return self.root / self.base.mask.format(name)

    def masks(self) -> dict[str, Path]:
        """All mask files by name, of all splits."""
        found = {}
        for name in self.good.scene:
            file = self.mask(name)
            if not file.exists():
                file = Path(str(file).replace("/train/", "/val/"))
            found[name] = file
        return found

    def exact(self, *said: str, **changes) -> Outcome:
        """The same ids as before, but for what is changed."""
        return Outcome(self.good._replace(**changes), said=said)

    def either(self, *refused: str, said=(), **changes) -> Outcome:
        """The same ids as before, but for what is changed, or an error."""
        return Outcome(self.good._replace(**changes), refused, tuple(said))

    def other_mask(self, name: str, mask: np.ndarray) -> dict[str, View]:
        """The scene with another mask of one photo."""
        view = self.good.scene[name]._replace(mask=mask)
        return {**self.good.scene, name: view}

    def other_masks(self, change: Callable[[np.ndarray], np.ndarray]):
        """The scene with other masks of all photos."""
        views = self.good.scene.items()
        return {name: view._replace(mask=change(view.mask)) for name, view in views}


Mutation = tuple[Callable[[Place], Outcome], tuple[str, ...]]


class Table:
    """Mutations by name, filled by a decorator that says which folders they suit."""

    def __init__(self):
        """Makes an empty table."""
        self.found: dict[str, Mutation] = {}

    def on(self, *layouts: str):
        """Registers a mutation of the folders named."""

        def register(function):
            self.found[function.__name__] = (function, layouts)
            return function

        return register


def damage(root: Path, name: str, mutation: Mutation, seed: int):
    """Makes a folder and damages it.

    Returns:
        What may be read, and the splits to read.
    """
    function, layouts = mutation
    rng = np.random.default_rng([seed, len(name)])
    layout = str(rng.choice(layouts))
    base = BASES.get(layout, Base("{}.jpg", "", ""))
    good = LAYOUTS[layout](root)
    outcome = function(Place(good, base, rng, layout))
    return outcome, (outcome.good or good).splits


def rename(place: Place, old: str, new: str, *, file_form="NFC") -> dict:
    """Renames a photo wherever its name occurs, in files and in texts.

    Returns:
        The scene and the splits with the new name, for `Place.exact`.
    """
    for file in sorted(place.root.rglob("*")):
        if file.suffix in TEXT_ENDS:
            text = file.read_text("utf-8")
            file.write_text(text.replace(old, new), "utf-8")
        if file.is_file() and file.name.startswith(old):
            there = unicodedata.normalize(file_form, new) + file.name[len(old) :]
            file.rename(file.with_name(there))
    key = unicodedata.normalize("NFC", new)
    return {
        "scene": {(key if n == old else n): v for n, v in place.good.scene.items()},
        "splits": {
            split: tuple(key if n == old else n for n in names)
            for split, names in place.good.splits.items()
        },
        "tags": place.good.tags
        and {(key if n == old else n): t for n, t in place.good.tags.items()},
    }
