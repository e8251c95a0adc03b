"""Whether the palettes of a set's masks say another class than their indices."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.masks.colours import pack, unpack, write
from ppcjax.data_pipelines.masks.pixels import Head
from ppcjax.data_pipelines.masks.scanning import Summary, scan, summary
from ppcjax.types import IGNORE, UserError

Table = Mapping[int, int]


class Entry(NamedTuple):
    """One index of one file's palette.

    index: the index.
    colour: its packed colour.
    key: the mask.
    """

    index: int
    colour: int
    key: str


def decide(
    files: Mapping[str, Path],
    heads: Mapping[str, Head],
    *,
    class_ids: Mapping[int, int],
    void: Collection[int],
    given: Table | None,
    guesses: Sequence[Table],
) -> tuple[bool, tuple[str, ...]]:
    """Whether palette masks are read by colour, and what is to be said of that.

    The ordinary set, whose palettes are equal and name no other class, is settled by
    headers alone; else the indices that are used decide.

    Args:
        files: id -> file, palette masks only.
        heads: id -> what its header says.
        class_ids: id in the files -> class id.
        void: ids that mean IGNORE.
        given: packed colour -> class; None where nobody gave colours.
        guesses: tables that may be meant where nobody did.

    Raises:
        UserError: indices and colours contradict each other, and nothing says which
            is meant.
    """
    tables = guesses if given is None else (given,)
    listed = set(given or ())

    def counts(entry: Entry) -> bool:
        return entry.index not in void or entry.colour in listed

    def other(entry: Entry) -> bool:
        said = {t[entry.colour] for t in tables if entry.colour in t} - {IGNORE}
        return bool(said - {class_ids.get(entry.index)})

    declared = [e for e in _declared(heads, class_ids) if counts(e)]
    if _clash(declared) is None and not any(map(other, _distinct(declared))):
        return False, ()
    first: dict[tuple[int, int], Entry] = {}
    for entry in filter(counts, _used(files)):
        first.setdefault((entry.index, entry.colour), entry)
    used = list(first.values())
    if given is not None:
        return _by_list(used, given, other, files)
    return _by_guess(used, guesses, class_ids, files)


def _declared(heads: Mapping[str, Head], class_ids: Mapping) -> Iterator[Entry]:
    """Entries of all different palettes that stand for a class."""
    known = set()
    for key, head in heads.items():
        content = head.palette.tobytes()
        if content in known:
            continue
        known.add(content)
        colours = pack(head.palette).tolist()
        for index in class_ids:
            if index < len(colours):
                yield Entry(index, colours[index], key)


def _distinct(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Entries but those that repeat the colour of a lower index, as padding does."""
    lowest: dict[int, int] = {}
    for entry in sorted(entries):
        if lowest.setdefault(entry.colour, entry.index) == entry.index:
            yield entry


def _used(files: Mapping[str, Path]) -> Iterator[Entry]:
    for key, found in scan(files, summary):
        yield from _entries(key, found)


def _entries(key: str, found: Summary) -> Iterator[Entry]:
    colours = pack(found.head.palette).tolist()
    for index in found.values.tolist():
        if index < len(colours):
            yield Entry(index, colours[index], key)


def _clash(entries: Sequence[Entry]) -> tuple[Entry, Entry] | None:
    """Two entries of one index and different colours."""
    first: dict[int, Entry] = {}
    for entry in entries:
        before = first.setdefault(entry.index, entry)
        if before.colour != entry.colour:
            return before, entry
    return None


def _by_list(used, given: Table, other, files) -> tuple[bool, tuple[str, ...]]:
    clash, contrary = _clash(used), next(filter(other, used), None)
    if all(entry.colour in given for entry in used):
        if clash is None and contrary is None:
            return False, ()
        said = "the masks have palettes whose indices are not the class ids: they are "
        return True, (f"{said}read by the list of colours",)
    if contrary is not None:
        loose = next(entry for entry in used if entry.colour not in given)
        raise UserError(
            f"{files[contrary.key]}: index {contrary.index} has the colour of another "
            f"class in the list of colours, while index {loose.index} of "
            f"{files[loose.key].name} has {_shown(loose)}, which is not listed; mend "
            "the list, or save grey PNGs whose values are class ids"
        )
    _refuse(clash, files)
    return False, ()


def _by_guess(used, guesses, class_ids, files) -> tuple[bool, tuple[str, ...]]:
    clash = _clash(used)
    fits = [t for t in guesses if all(entry.colour in t for entry in used)]
    if clash is not None:
        if fits:
            said = "the palettes of the masks differ: they are read by their colours"
            return True, (said,)
        _refuse(clash, files)
    for table in fits:
        # Void has no class: a palette of black and white is one of indices.
        classes = [table[entry.colour] for entry in used]
        if IGNORE in classes or len(set(classes)) < len(classes):
            continue
        for contrary in used:
            if table[contrary.colour] == class_ids.get(contrary.index):
                continue
            raise UserError(
                f"{files[contrary.key]}: index {contrary.index} has the colour "
                f"{_shown(contrary)}, which usually stands for class id "
                f"{table[contrary.colour]}, so it may be either; save grey PNGs whose "
                "values are class ids, or give the colours in labelmap.txt"
            )
    return False, ()


def _refuse(clash: tuple[Entry, Entry] | None, files: Mapping[str, Path]) -> None:
    if clash is None:
        return
    one, two = clash
    raise UserError(
        f"{files[one.key]} and {files[two.key]}: palettes differ, index {one.index} is "
        f"{_shown(one)} in the one and {_shown(two)} in the other; give the colours in "
        "labelmap.txt, or save grey PNGs whose values are class ids"
    )


def _shown(entry: Entry) -> str:
    return write(unpack(entry.colour))
