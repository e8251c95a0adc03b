"""Masks of 0 and 255, where 255 may be the class and not what is unknown."""

from collections.abc import Mapping
from pathlib import Path

from ppcjax.data_pipelines.masks.how import How, Named, is_white
from ppcjax.data_pipelines.masks.scanning import Summary, colours_of, scan, summary
from ppcjax.types import IGNORE, UserError

_LOOKS = 200  # further masks that are looked at once a set is known to hold ids


def _plain(how: How, found: Summary) -> set[int]:
    """Ids that a mask holds; 255 of a palette that shows it not in white is void."""
    if how.in_colour(found.head):
        return set((colours_of(found) & 255).tolist())
    values = set(found.values.tolist())
    hidden = found.head.kind == "palette" and not is_white(found.head)
    return values - {255} if hidden else values


def decide(how: How, files: Mapping[str, Path], named: Named) -> How:
    """Whether 255 is class 1: one class is named, and the set holds 0 and 255 only.

    Args:
        how: how the files are read so far.
        files: id -> file, of those whose values are ids.
        named: what is known of the classes.

    Raises:
        UserError: 0 and 255 only, and several classes are named.
    """
    said = {0, IGNORE} & set(named.void)
    if named.label_ids or said or not named.has_background():
        return how
    union, whites, looked = set(), 0, 0
    rest = list(files)
    single = len(named.classes) == 2
    for key, found in scan(files, summary):
        values = _plain(how, found)
        union |= values
        whites += 255 in values and values <= {0, 255}
        looked += 1
        if union - {0, 255}:
            rest = rest[rest.index(key) + 1 :]
            break
    if not union - {0, 255}:
        return _only_white(how, files, named) if union == {0, 255} else how
    if not single or 1 not in union:
        return how
    # A bounded look at the others, spread over the set.
    chosen = rest[:: max(-(-len(rest) // _LOOKS), 1)]
    for _, found in scan({key: files[key] for key in chosen}, summary):
        values = _plain(how, found)
        whites += 255 in values and values <= {0, 255}
        looked += 1
    if not whites:
        return how
    warning = (
        f"{whites} of {looked} masks looked at hold 0 and 255 only beside masks of 0 "
        f"and 1: there 255 means unknown; write 1 where it is {named.classes[1]}"
    )
    return how._replace(warnings=(*how.warnings, warning))


def _only_white(how: How, files: Mapping[str, Path], named: Named) -> How:
    if len(named.classes) == 2:
        text = f"0 and 255 only: 255 is read as {named.classes[1]}"
        return how._replace(
            white=True,
            text=(text,),
            warnings=(*how.warnings, f"the masks hold {text}, not as unknown"),
        )
    shown = [f"{i} for {name}" for i, name in enumerate(named.classes)][1:4]
    more = ", ..." if len(named.classes) > 4 else ""
    raise UserError(
        f"{next(iter(files.values()))}: all {len(files)} masks hold 0 and 255 only, "
        "and 255 means unknown, so nothing but background would be learnt; write "
        f"{', '.join(shown)}{more}"
    )
