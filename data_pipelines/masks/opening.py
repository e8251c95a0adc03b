"""All masks of a data set, and how they are to be read."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.masks import class_files, rules
from ppcjax.data_pipelines.masks.colours import Colour, is_grey
from ppcjax.data_pipelines.masks.how import How, Named, check_class_ids
from ppcjax.data_pipelines.masks.pixels import read_head, read_pixels
from ppcjax.data_pipelines.masks.scanning import scan, summary
from ppcjax.types import IGNORE, UserError

# A file of all classes; one file per class, each with the id of its class; or what
# draws the mask in class ids.
MaskFile = Path | tuple[tuple[int, Path], ...] | Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Masks:
    """The masks of a data set, ready to be read.

    ids: ids of the images that have one, in the order of the images.
    read: id -> [H, W] int32 in 0..C-1 or IGNORE; UserError where the file is unusable.
    text: how they are read, in a few words, for the account of what was read.
    warnings: what was guessed, one line each.
    """

    ids: tuple[str, ...] = ()
    read: Callable[[str], np.ndarray] | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.ids)

    def __contains__(self, key: object) -> bool:
        """Whether an image has a mask."""
        return key in self._known

    def get(self, key: str) -> np.ndarray | None:
        """The mask of an image; None where it has none."""
        return self.read(key) if key in self._known else None


def open_masks(
    files: Mapping[str, MaskFile],
    *,
    classes: Sequence[str],
    colours: Sequence[Colour] = (),
    void: Sequence[int] = (),
    label_ids: Sequence[int] = (),
    void_colours: Sequence[Colour] = (),
    by_colour: bool = False,
    beside: Sequence[Path] = (),
) -> Masks:
    """Decides how the masks of a whole set are read; see `rules.decide`.

    Files that are damaged are told of when they are read, so that they can be left
    out; files of a kind that never holds exact ids, here.

    Args:
        files: where the mask of each image is.
        classes: names by class id, "background" first where there is one.
        colours: colour of each class; empty where nobody gave any.
        void: ids that mean IGNORE, besides 255.
        label_ids: the id of each class in the files; empty: 0..C-1.
        void_colours: colours that mean IGNORE, besides the border of VOC's masks.
        by_colour: whether the list of classes tells them by colours only, so that its
            order says nothing of ids; masks of ids are then warned of.
        beside: masks of other images of the same set, which are not read but count
            where it is decided how all are; pictures among them are passed over.

    Raises:
        UserError: they cannot be read as masks of these classes.
    """
    named = Named(
        tuple(classes),
        tuple(colours),
        tuple(void),
        tuple(label_ids),
        tuple(void_colours),
        by_colour,
    )
    if not files:
        return Masks()
    if len(named.classes) > IGNORE:
        raise UserError(
            f"there are {len(named.classes)} classes, background included, but masks "
            f"tell {IGNORE} apart, ids 0 to {IGNORE - 1}; merge or leave out classes"
        )
    whole = {key: file for key, file in files.items() if isinstance(file, Path)}
    how = rules.decide(whole | _others(whole, beside), named) if whole else How()
    text = list(how.text)
    parts = {
        f"{key} {i}": file
        for key, by_class in files.items()
        if isinstance(by_class, tuple)
        for i, (_, file) in enumerate(by_class)
    }
    if parts:
        for _ in scan(parts, read_head):  # names files of a wrong kind
            pass
        text.append("one file a class, pixels of two classes are unknown (255)")
    if any(callable(file) for file in files.values()):
        text.append("drawn from annotations")
    read = partial(_read, dict(files), how, named)
    return Masks(tuple(files), read, "; ".join(dict.fromkeys(text)), how.warnings)


def _others(whole: Mapping[str, Path], beside: Sequence[Path]) -> dict[str, Path]:
    """Files beside a set that may be masks of it, under names of their own.

    One in colours is none where none of the set is in colour.
    """
    files = {f"{i} beside": file for i, file in enumerate(beside)}
    heads = dict(scan(files, read_head))
    coloured = {key: files[key] for key, head in heads.items() if head.kind == "colour"}
    if coloured and all(h.kind != "colour" for _, h in scan(whole, read_head)):
        for key, found in scan(coloured, summary):
            if not is_grey(found.values).all():
                del heads[key]
    return {key: files[key] for key in heads}


def _read(files: Mapping[str, MaskFile], how: How, named: Named, key: str):
    file = files[key]
    if isinstance(file, Path):
        return how.ids(read_pixels(file, str(file)), str(file), named)
    if isinstance(file, tuple):
        ids = class_files.merge(file, background=named.has_background())
        name = str(file[0][1].parent)
    else:
        ids, name = np.asarray(file()), f"the mask of {key}"
    if ids.ndim != 2 or ids.dtype.kind not in "iub":
        raise UserError(
            f"{name}: was drawn as {list(ids.shape)} of {ids.dtype}, not as [H, W] "
            "class ids; mend what draws it"
        )
    return check_class_ids(ids, name, named)
