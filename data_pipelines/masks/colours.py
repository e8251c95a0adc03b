"""Masks whose colours say the class."""

from collections.abc import Mapping, Sequence

import numpy as np

from ppcjax.types import IGNORE, UserError

Colour = tuple[int, int, int]

GREYS = 0x010101  # a grey of value v is v times this


def voc_colours() -> tuple[Colour, ...]:
    """The colour that PASCAL VOC gives each id from 0 to 255.

    Bit 3k of the id is bit 7-k of red, the next one of green, the next one of blue.
    """

    def level(number: int, channel: int) -> int:
        return sum((number >> (3 * k + channel) & 1) << (7 - k) for k in range(3))

    return tuple(tuple(level(i, channel) for channel in range(3)) for i in range(256))


VOC = voc_colours()


def pack(colours: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 RGB as [...] int32, one number a colour."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def unpack(number: int) -> Colour:
    """The colour that `pack` made a number of."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


def is_grey(packed: np.ndarray) -> np.ndarray:
    """Whether the three channels of packed colours are equal, elementwise."""
    return packed == (packed & 255) * GREYS


def write(colour: Colour) -> str:
    """A colour for people: "250,50,83"."""
    return ",".join(map(str, colour))


def table(colours: Sequence[Colour], void: Sequence[Colour] = ()) -> dict[int, int]:
    """Packed colour -> class id or IGNORE.

    Args:
        colours: colour of each class.
        void: colours that mean IGNORE, besides the border of VOC's masks, which does
            so where it is no class.

    Raises:
        UserError: two classes have one colour, or a class has that of void.
    """
    numbers = [_number(colour) for colour in colours]
    taken = [*numbers, *map(_number, dict.fromkeys(void))]
    twice = next((n for n in taken if taken.count(n) > 1), None)
    if twice is not None:
        raise UserError(
            f"the list of colours gives {write(unpack(twice))} to two classes; give "
            "each class a colour of its own"
        )
    ignored = dict.fromkeys((_number(VOC[IGNORE]), *map(_number, void)), IGNORE)
    return ignored | {number: i for i, number in enumerate(numbers)}


def _number(colour: Colour) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def voc_table(num_classes: int) -> dict[int, int]:
    """The table of VOC's colours of the ids 0..C-1."""
    return table(VOC[:num_classes])


def ids_of(
    packed: np.ndarray, listed: Mapping[int, int], name: str, classes: Sequence[str]
) -> np.ndarray:
    """Class ids of colours.

    Args:
        packed: [H, W] int32 colours.
        listed: packed colour -> class id or IGNORE.
        name: what to call the mask in an error.
        classes: names by class id.

    Returns:
        [H, W] int32 in 0..C-1 or IGNORE.

    Raises:
        UserError: a colour is not listed.
    """
    numbers = np.array(sorted(listed), np.int32)
    ids = np.array([listed[number] for number in sorted(listed)], np.int32)
    places = np.searchsorted(numbers, packed).clip(max=len(numbers) - 1)
    wrong = numbers[places] != packed
    if wrong.any():
        raise UserError(_not_listed(name, packed[wrong], listed, classes, wrong.mean()))
    return ids[places]


def _not_listed(name, found, listed, classes, share: float) -> str:
    """One line on the most frequent of the colours that are not listed."""
    numbers, counts = np.unique(found, return_counts=True)
    colour = unpack(int(numbers[counts.argmax()]))

    def distance(number):
        pairs = zip(unpack(number), colour, strict=True)
        return sum((one - other) ** 2 for one, other in pairs), number

    nearest = min(listed, key=distance)
    class_id = listed[nearest]
    owner = "void" if class_id == IGNORE else classes[class_id]
    more = f" and {len(numbers) - 1} other colours" if len(numbers) > 1 else ""
    return (
        f"{name}: holds the colour {write(colour)}{more} ({share:.2%} of its pixels) "
        f"that no class has; the nearest is {write(unpack(nearest))} of {owner}; draw "
        "it without soft edges, or mend the list of colours"
    )
