"""Lists of classes: names, ids and colours, in every form that tools write."""

from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import text as texts
from ppcjax.data_pipelines.sources import files, words
from ppcjax.data_pipelines.sources.class_list_forms import parse
from ppcjax.data_pipelines.sources.class_list_json import Colour, Entry
from ppcjax.types import IGNORE, UserError

# The files that are looked for, in lower case, the first of them first.
FILES = (
    *("classes.txt", "labelmap.txt", "_classes.csv", "classes.csv", "class_dict.csv"),
    *("label_colors.txt", "codes.txt", "labels.txt", "obj.names", "classes.json"),
    *("id2label.json",),
)
MOST = IGNORE - 1  # classes beside a background, in masks of 8 bits
BLACK = (0, 0, 0)


class ClassList(NamedTuple):
    """What a file says of the classes.

    names: in the order of their ids, without the background.
    label_ids: id in the masks of each class where the file gives ids that are not
        0..C-1, the background's first; empty otherwise.
    colours: colour of each class, the background's first; empty where there are none.
    void: ids in the masks that the file calls void, unlabelled or the like while
        another line is the background.
    has_background: whether a line named the background.
    file: which it was.
    text: what was found, in a few words, for the account of what was read.
    warnings: what was guessed or looks wrong, one line each.
    void_colours: colours that the file gives to void, unlabelled or the like.
    by_colour: whether masks are told by colours only, so that the order of the lines
        says nothing of ids.
    """

    names: tuple[str, ...]
    label_ids: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()
    void: tuple[int, ...] = ()
    has_background: bool = False
    file: Path = Path()
    text: str = ""
    warnings: tuple[str, ...] = ()
    void_colours: tuple[Colour, ...] = ()
    by_colour: bool = False


def find(root: Path, *, background: bool = True) -> ClassList | None:
    """The class list in a folder; None where there is none.

    Where there are several they must agree; the first that gives ids is taken, with
    the colours of another where it gives none.

    Args:
        root: the folder.
        background: whether id 0 is a background; see `read`.

    Raises:
        UserError: a file is no class list, or two contradict each other.
    """
    try:
        there = [f for f in sorted(root.iterdir()) if f.name.lower() in FILES]
    except OSError as error:
        raise UserError(f"{root}: cannot be read ({error.strerror})") from error
    there = [f for f in there if files.is_there(f) and not _is_table_of_tags(f)]
    there.sort(key=lambda file: FILES.index(file.name.lower()))
    lists = [read(file, background=background) for file in there]
    if not lists:
        return None
    lists.sort(key=lambda found: found.by_colour)  # stable: the first stays first
    first = lists[0]
    for other in lists[1:]:
        first = _joined(first, other)
    return first


def _is_table_of_tags(file: Path) -> bool:
    """Whether _classes.csv is Roboflow's table of photos and not its class list."""
    first = texts.read_text(file).partition("\n")[0].casefold()
    return file.suffix.lower() == ".csv" and first.startswith(("filename", "image"))


def _joined(first: ClassList, other: ClassList) -> ClassList:
    free = first.by_colour or other.by_colour
    alike = sorted if free else tuple
    ids = first.label_ids == other.label_ids or free
    if alike(first.names) != alike(other.names) or not ids:
        raise UserError(
            f"{other.file}: its classes {_short(other.names)} are not those of "
            f"{first.file.name}, {_short(first.names)}, or in another order; remove one"
        )
    said = f"{first.text}; {other.file.name} agrees"
    warnings = (*first.warnings, *other.warnings)
    if first.colours or not other.colours:
        return first._replace(text=said, warnings=warnings)
    by_name = dict(zip(other.names, other.colours[-len(other.names) :], strict=True))
    before = other.colours[: len(other.colours) - len(other.names)]
    return first._replace(
        colours=(*before, *(by_name[name] for name in first.names)),
        void_colours=other.void_colours,
        text=f"{first.text}; colours of {other.file.name}",
        warnings=warnings,
    )


def _short(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def read(file: Path, *, background: bool = True) -> ClassList:
    """Reads a class list.

    Args:
        file: a list that a person or a tool wrote: one name a line, with or without
            ids or colours, a table, or JSON.
        background: whether id 0 is a background; False: the list begins with class 0,
            whatever its name.

    Raises:
        UserError: the file is no class list, or leaves open which id is what.
    """
    found = texts.read(file)
    entries, by_colour = parse(file, found.text)
    # What labelme counts as -1 has no pixel in a mask.
    left = [e for e in entries if not (words.is_void(e.name) and (e.id or 0) < 0)]
    if left and left[0].id is None and words.same(left[0].name) == "__ignore__":
        left = left[1:]
    if background:
        _check_first(file, left, by_colour)
    _check_names(file, left)
    parts = _divide(left, background, by_colour)
    result = _settle(file, parts, background, by_colour)
    warnings = (f"{file.name}: {found.guess}",) if found.guess else ()
    return result._replace(warnings=warnings, by_colour=by_colour)


def _check_first(file: Path, entries: list[Entry], by_colour: bool) -> None:
    """Raises UserError where the word for id 0 leaves open what it is."""
    zero = [e for e in entries if e.id == 0] or entries[:1]
    zero = [] if by_colour or (zero and zero[0].id) else zero
    named = any(words.is_background(e.name) for e in entries)
    for entry in zero:
        if words.is_unclear(entry.name) and not named:
            raise UserError(
                f"{file}: {entry.name!r} may be the background or a class; write "
                "background as its first line, or another name for the class"
            )
    if named and not by_colour and entries[0].id is None:
        place = next(i for i, e in enumerate(entries) if words.is_background(e.name))
        if place and not (place == 1 and words.is_void(entries[0].name)):
            raise UserError(
                f"{file}: {entries[place].name!r} is name {place + 1}; write it first "
                "if its id is 0, or give every name its id (0: background)"
            )


def _check_names(file: Path, entries: list[Entry]) -> None:
    """Raises UserError where two entries share a name, an id or a colour."""
    kinds = {
        "name": [words.same(e.name) for e in entries],
        "id": [e.id for e in entries],
        "colour": [e.colour for e in entries],
    }
    kinds["meaning"] = [words.is_background(e.name) or None for e in entries]
    for kind, values in kinds.items():
        seen: dict = {}
        for entry, value in zip(entries, values, strict=True):
            if value is not None and value in seen:
                raise UserError(
                    f"{file}: {seen[value]!r} and {entry.name!r} have the same {kind}; "
                    "class names must be distinct, and so must ids and colours"
                )
            seen[value] = entry.name


class _Parts(NamedTuple):
    """What the entries are: one background or none, classes, and void."""

    zero: Entry | None
    classes: list[Entry]
    void: list[Entry]


def _divide(entries: list[Entry], background: bool, by_colour: bool) -> _Parts:
    """Which entry is what, each with its id unless colours tell them apart."""
    zero = next((e for e in entries if words.is_background(e.name)), None)
    if zero is None:
        zero = next((e for e in entries if _stands_for_zero(e, entries)), None)
    bare = [e for e in entries if e.id is None]
    if not by_colour and bare:
        start = 1 if background and zero is None else 0
        place = {e: e._replace(id=i) for i, e in enumerate(bare, start)}
        entries = [place.get(e, e) for e in entries]
        zero = place.get(zero, zero)
    if not by_colour:
        entries = sorted(entries, key=lambda e: e.id)
    kept = zero if background and zero else entries[0]
    void = [e for e in entries if words.is_void(e.name) and e != kept]
    classes = [e for e in entries if e not in void and (e != zero or not background)]
    return _Parts(zero if background else None, classes, void)


def _stands_for_zero(entry: Entry, entries: list[Entry]) -> bool:
    """Whether void or the like is what a list without a background has at id 0."""
    first = entry.id == 0 if entry.id is not None else entry == entries[0]
    return words.is_void(entry.name) and (first or entry.colour == BLACK)


def _settle(file: Path, parts: _Parts, background: bool, by_colour: bool) -> ClassList:
    zero, classes, void = parts
    if not classes:
        raise UserError(f"{file}: names no class beside the background; add the names")
    most = MOST if background else MOST + 1
    if len(classes) > most:
        raise UserError(
            f"{file}: more than {most} classes"
            + (" beside the background" if background else "")
            + f" ({len(classes)}): masks hold 8 bits and {IGNORE} means unknown; merge "
            "some"
        )
    label_ids = () if by_colour else _label_ids(file, parts, background)
    names = tuple(e.name for e in classes)
    return ClassList(
        names,
        label_ids=label_ids,
        colours=_colours(file, parts, background),
        void=tuple(e.id for e in void if e.id is not None),
        has_background=zero is not None,
        file=file,
        text=_said(file, parts, background, label_ids),
        void_colours=tuple(e.colour for e in void if e.colour is not None),
    )


def _label_ids(file: Path, parts: _Parts, background: bool) -> tuple[int, ...]:
    zero, classes, void = parts
    ids = [e.id for e in classes]
    for entry in (*([zero] if zero else []), *classes, *void):
        wrong = not 0 <= entry.id < 2**16
        if wrong or (entry.id == IGNORE and entry not in void):
            raise UserError(
                f"{file}: the id {entry.id} of {entry.name!r} is "
                + ("no id of a mask" if wrong else "that of unknown pixels")
                + "; give it another"
            )
    if background and zero is None and (0 in ids or file.name.lower() == "codes.txt"):
        raise UserError(
            f"{file}: {classes[0].name!r} has id 0, so no line is the background; set "
            "config.data.background=False if every pixel shows a class, or add the "
            "line background"
        )
    if background:
        ids = [zero.id if zero else 0, *ids]
    return () if ids == list(range(len(ids))) else tuple(ids)


def _colours(file: Path, parts: _Parts, background: bool) -> tuple[Colour, ...]:
    zero, classes, void = parts
    entries = [zero, *classes] if zero else classes
    if all(e.colour is None for e in entries):
        return ()
    bare = next((e.name for e in entries if e.colour is None), None)
    if bare is not None:
        raise UserError(f"{file}: {bare!r} has no colour while others do; add it")
    colours = tuple(e.colour for e in entries)
    if not background or zero:
        return colours
    if BLACK in (*colours, *(e.colour for e in void)):
        raise UserError(
            f"{file}: no line is the background, and black is a class; add its line, "
            "or set config.data.background=False"
        )
    return (BLACK, *colours)


def _said(file: Path, parts: _Parts, background: bool, label_ids) -> str:
    zero, classes, void = parts
    said = [f"{file.name}, {len(classes)} name{'s' * (len(classes) > 1)}"]
    if background:
        line = f"{zero.name!r} is the background" if zero else "no background line"
        known = zero and words.same(zero.name) == "background"
        said += ["with a background line" if known else line]
    if label_ids:
        said += [f"ids {label_ids[0]} to {label_ids[-1]}"]
    if classes[0].colour is not None:
        said += ["with colours"]
    if void:
        said += ["void: " + ", ".join(e.name for e in void)]
    return ", ".join(said)
