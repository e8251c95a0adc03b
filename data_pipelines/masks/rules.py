"""How the masks of a set are to be read, decided over all of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ppcjax.data_pipelines.masks import colours as by_colour
from ppcjax.data_pipelines.masks import palettes, scanning, white
from ppcjax.data_pipelines.masks.colours import GREYS
from ppcjax.data_pipelines.masks.how import HOW_TO_COLOUR, How, Named
from ppcjax.data_pipelines.masks.pixels import Head, read_head
from ppcjax.data_pipelines.masks.scanning import scan, summary
from ppcjax.types import IGNORE, UserError


def decide(files: Mapping[str, Path], named: Named) -> How:
    """How the masks of a set are read.

    Headers are read of all files, pixels only where they decide.

    Args:
        files: id -> file.
        named: what is known of the classes.

    Raises:
        UserError: no reading is safe, or it would show no class.
    """
    heads = dict(scan(files, read_head))
    how = How()
    indexed = {
        key: head
        for key, head in heads.items()
        if head.kind == "palette" and head.form != "GIF"
    }
    if indexed:
        expand, said = palettes.decide(
            {key: files[key] for key in indexed},
            indexed,
            class_ids=named.class_ids(),
            void={IGNORE, *named.void},
            given=_given(named),
            guesses=_guesses(named),
        )
        how = how._replace(expand=expand, warnings=said)
        if not expand:
            how = how.said("palette indices are class ids")
    coloured = {key: files[key] for key, h in heads.items() if how.in_colour(h)}
    if coloured:
        how = _decide_colours(how, coloured, named)
    grey = {key: files[key] for key, head in heads.items() if head.kind == "grey"}
    if grey:
        how = _decide_greys(how, grey, named)
    if any(head.kind == "bits" for head in heads.values()):
        how = how.said("1-bit values are class ids")
    plain = {key: files[key] for key, head in heads.items() if how.has_ids(head)}
    loose = [k for k in plain if not _in_colours_of_list(heads[k], named)]
    if named.by_colour and len(named.classes) > 2 and loose:
        warning = (
            f"{files[loose[0]]} holds class ids, while the list of classes gives "
            "colours and no ids: ids are taken to count its lines"
        )
        how = how._replace(warnings=(*how.warnings, warning))
    return white.decide(how, plain, named)


def _in_colours_of_list(head: Head, named: Named) -> bool:
    """Whether a palette has the colour of each class at its id."""
    if head.kind != "palette":
        return False
    return head.palette[: len(named.colours)].tolist() == [*map(list, named.colours)]


def _given(named: Named) -> dict[int, int] | None:
    """The table of the colours that were given; None where none were."""
    if not named.colours:
        return None
    if len(named.colours) != len(named.classes):
        raise UserError(
            f"the list of colours has {len(named.colours)} for the "
            f"{len(named.classes)} classes; give one for each"
        )
    return by_colour.table(named.colours, named.void_colours)


def _guesses(named: Named) -> tuple[dict[int, int], ...]:
    """Tables of colours that may be meant where none are given."""
    greys = {i * GREYS: c for i, c in named.class_ids().items() if i < IGNORE}
    greys |= {i * GREYS: IGNORE for i in (*named.void, IGNORE)}
    if not named.has_background() or named.label_ids:
        return (greys,)
    return by_colour.voc_table(len(named.classes)), greys


def _decide_colours(how: How, files: Mapping[str, Path], named: Named) -> How:
    """Whether files in colour hold ids, colours of the list, or those of VOC."""
    given, first, union = _given(named), None, set()
    for key, found in scan(files, summary):
        colours = scanning.colours_of(found)
        union.update(colours.tolist())
        if first is None and not by_colour.is_grey(colours).all():
            first = key
            if given is not None:
                break
    if first is None:
        listed = _grey_list(union, given, named, files)
        if listed is None:
            return how.said("three equal channels are class ids")
        return how._replace(colours=listed).said("colours by the list of colours")
    if given is not None:
        how = how._replace(colours=given)
        return how.said("colours by the list of colours")
    tables = _guesses(named)
    if len(tables) < 2 or not union <= set(tables[0]):
        raise UserError(
            f"{files[first]}: is a RGB picture or has a palette of its own, not "
            f"an index mask{_such_as(union, tables)}; {HOW_TO_COLOUR}"
        )
    said = ", ".join(
        f"{by_colour.write(by_colour.VOC[i])} is {named.classes[i]}"
        for i in range(1, len(named.classes))
        if any(tables[0][number] == i for number in union)
    )
    return how._replace(colours=tables[0]).said(
        "colours by those of PASCAL VOC",
        "nobody gave the colours of the masks, which are read as PASCAL VOC has them: "
        f"{said}; otherwise give them in labelmap.txt or classes.csv",
    )


def _such_as(union: Iterable[int], tables: Sequence[Mapping[int, int]]) -> str:
    other = sorted(n for n in union if n not in tables[0])
    other = [n for n in other if not by_colour.is_grey(np.int64(n))] or other
    if not other:
        return ""
    return f" (it holds colours such as {by_colour.write(by_colour.unpack(other[0]))})"


def _grey_list(union, given, named: Named, files) -> dict[int, int] | None:
    """The list of colours where greys are to be read by it; None where they are ids.

    255 is an id only where no class is white.
    """
    if given is None or not union <= set(given):
        return None
    ids = {i * GREYS: c for i, c in named.class_ids().items()}
    ids |= {i * GREYS: IGNORE for i in named.void}
    if not union <= set(ids):
        return given
    if all(ids[number] == given[number] for number in union):
        return None
    values = ", ".join(str(number & 255) for number in sorted(union))
    raise UserError(
        f"{next(iter(files.values()))}: its masks hold the greys {values}, which are "
        "class ids and colours of other classes; save grey PNGs of class ids, or give "
        "the classes colours that are no ids"
    )


def _decide_greys(how: How, files: Mapping[str, Path], named: Named) -> How:
    """Whether grey files hold ids or greys of the list; ids come first."""
    given = _given(named)
    others = {} if given is None else {n for n in given if n and n & 255 == n // GREYS}
    if not others:
        return how.said("values are class ids")
    ids = {*named.class_ids(), *named.void}
    union = set()
    for _, found in scan(files, summary):
        union.update((found.values * GREYS).tolist())
        if not union <= set(given):
            return how.said("values are class ids")
    if {number // GREYS for number in union} <= ids:
        return how.said("values are class ids, not greys of the list of colours")
    return how._replace(greys=given).said("greys by the list of colours")
