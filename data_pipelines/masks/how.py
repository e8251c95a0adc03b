"""How the masks of a set are read, and reading one that way."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines.masks import colours as by_colour
from ppcjax.data_pipelines.masks.colours import GREYS, Colour
from ppcjax.data_pipelines.masks.ids import check_ids
from ppcjax.data_pipelines.masks.pixels import Head, Pixels
from ppcjax.types import UserError

BACKGROUND = "background"
HOW_TO_COLOUR = (
    "give the colours in labelmap.txt (a line name:red,green,blue:: for each class) or "
    "classes.csv, or save palette or grey PNGs whose values are class ids"
)
_WHITE = (255, 255, 255)


class Named(NamedTuple):
    """What is known of the classes of a set.

    classes: names by class id.
    colours: colour of each class; empty where nobody gave any.
    void: ids that mean IGNORE, besides 255.
    label_ids: the id of each class in the files; empty: 0..C-1.
    void_colours: colours that mean IGNORE, besides the border of VOC's masks.
    by_colour: whether the order of the classes says nothing of ids.
    """

    classes: tuple[str, ...]
    colours: tuple[Colour, ...] = ()
    void: tuple[int, ...] = ()
    label_ids: tuple[int, ...] = ()
    void_colours: tuple[Colour, ...] = ()
    by_colour: bool = False

    def class_ids(self) -> dict[int, int]:
        """Id in the files -> class id."""
        return {i: c for c, i in enumerate(self.label_ids or range(len(self.classes)))}

    def has_background(self) -> bool:
        """Whether class 0 is what no class shows."""
        return self.classes[0] == BACKGROUND


class How(NamedTuple):
    """How the files of a set are read.

    expand: whether palettes are read by their colours; those of a GIF always are,
        since its writers reorder them.
    colours: packed colour -> class of files in colour; None: their channels are equal
        and hold ids.
    greys: packed colour -> class of grey files; None: they hold ids.
    white: whether 255 is class 1.
    text: the same in a few words.
    warnings: what was guessed, one line each.
    """

    expand: bool = False
    colours: Mapping[int, int] | None = None
    greys: Mapping[int, int] | None = None
    white: bool = False
    text: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def said(self, text: str, *warnings: str) -> "How":
        """The same with more words on it."""
        words = (*self.text, text), (*self.warnings, *warnings)
        return self._replace(text=words[0], warnings=words[1])

    def in_colour(self, head: Head) -> bool:
        """Whether a file is read by its colours."""
        coloured = self.expand or head.form == "GIF"
        return head.kind == "colour" or (head.kind == "palette" and coloured)

    def has_ids(self, head: Head) -> bool:
        """Whether the values of a file are ids, as 0 and 255 of one class may be."""
        if self.in_colour(head):
            return self.colours is None
        return head.kind == "palette" or (head.kind == "grey" and self.greys is None)

    def ids(self, pixels: Pixels, name: str, named: Named) -> np.ndarray:
        """[H, W] int32 in 0..C-1 or IGNORE of a decoded mask.

        Raises:
            UserError: it holds what is no class.
        """
        values, head, classes = pixels.values, pixels.head, named.classes
        listed = self.greys if head.kind == "grey" else None
        if listed is not None:
            # Wide before -1 is put in: a byte has no room for it.
            wide = values.astype(np.int32)
            values = np.where((values >= 0) & (values <= 255), wide, -1) * GREYS
        if self.in_colour(head):
            listed, values = self.colours, packed(pixels, name)
            if listed is None:
                values = equal_channels(values, name, head)
        if listed is not None:
            ids = by_colour.ids_of(values, listed, name, classes)
            return check_class_ids(ids, name, named)
        if head.kind == "bits" and len(classes) != 2 and values.any():
            raise UserError(
                f"{name}: has 1 bit a pixel, which cannot tell {len(classes)} classes "
                "and void apart; save it with 8 bits, a class id for each pixel"
            )
        shown = self.in_colour(head) or head.kind != "palette" or is_white(head)
        if self.white and shown:
            values = np.where(values == 255, 1, values)
        return check_ids(
            values,
            name,
            num_classes=len(classes),
            void=named.void,
            label_ids=named.label_ids,
        )


def check_class_ids(ids: np.ndarray, name: str, named: Named) -> np.ndarray:
    """Checks [H, W] that hold class ids, whatever ids the data's files have."""
    # Void ids beside label_ids are those of files, not of classes.
    void = () if named.label_ids else named.void
    return check_ids(ids, name, num_classes=len(named.classes), void=void)


def packed(pixels: Pixels, name: str) -> np.ndarray:
    """[H, W] int32 packed colours of a mask in colour or of a palette."""
    if pixels.head.kind == "colour":
        return by_colour.pack(pixels.values)
    palette = by_colour.pack(pixels.head.palette)
    if pixels.values.max() >= len(palette):
        raise UserError(
            f"{name}: holds index {pixels.values.max()} beyond the {len(palette)} "
            "colours of its palette; save it again"
        )
    return palette[pixels.values]


def equal_channels(values: np.ndarray, name: str, head: Head) -> np.ndarray:
    """Grey values of packed colours whose channels must be equal."""
    wrong = ~by_colour.is_grey(values)
    if wrong.any():
        colour = by_colour.write(by_colour.unpack(int(values[wrong][0])))
        what = "a RGB picture" if head.kind == "colour" else "a picture"
        raise UserError(
            f"{name}: is {what} with colours such as {colour}, not an index mask; "
            f"{HOW_TO_COLOUR}"
        )
    return values & 255


def is_white(head: Head) -> bool:
    """Whether a palette shows index 255 in white."""
    palette = head.palette
    return len(palette) > 255 and tuple(palette[255].tolist()) == _WHITE
