"""How many classes a set of masks shows whose classes nobody names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ppcjax.data_pipelines.masks.colours import GREYS, VOC, is_grey
from ppcjax.data_pipelines.masks.pixels import Unreadable
from ppcjax.data_pipelines.masks.scanning import Summary, colours_of, scan, summary
from ppcjax.types import IGNORE, UserError

_MOST = IGNORE - 1  # the largest id that is none of unknown pixels
_VOC = {red << 16 | green << 8 | blue: i for i, (red, green, blue) in enumerate(VOC)}


def largest_id(files: Mapping[str, Path], void: Sequence[int] = ()) -> int:
    """The largest class id that masks hold; all are decoded.

    Masks that hold nothing but 0 and 255 are of one class. Colours count as those of
    PASCAL VOC.

    Args:
        files: id -> file.
        void: ids that mean IGNORE, besides 255.

    Returns:
        0 where there is nothing but background and void; at most 254.
    """
    union: set[int] = set()
    for _, found in scan(files, _summary):
        if found.head.kind == "colour":
            colours = colours_of(found)
            grey = is_grey(colours).all()
            ids = (
                (colours // GREYS).tolist()
                if grey
                else [_VOC.get(number, 0) for number in colours.tolist()]
            )
        else:
            ids = found.values.tolist()
            if found.head.kind == "palette" and 255 in ids:
                # The border of VOC's masks, unless the palette shows it in white.
                shown = found.head.palette[255:256].tolist()
                ids = ids if shown == [[255, 255, 255]] else sorted({*ids} - {255})
        union.update(ids)
    if union <= {0, 255}:
        return min(max(union, default=0), 1)
    return min(max(union - {*void, IGNORE}, default=0), _MOST)


def _summary(file: Path) -> Summary:
    """What a mask holds; one of a kind that holds no ids is passed over, too.

    Whoever reads it is told, and perhaps nobody does.
    """
    try:
        return summary(file)
    except UserError as error:
        raise Unreadable(str(error)) from error
