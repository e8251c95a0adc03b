"""Tables with a column per class: yes and no."""

from collections.abc import Sequence
from pathlib import Path

from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.tables.rows import Row
from ppcjax.types import UserError

_YES = frozenset("1 1.0 true yes x y t ja wahr oui vrai si sí verdadero ✓ ✔ ×".split())
_NO = frozenset("0 0.0 false no n f nein falsch non faux falso".split())


def is_flag(cell: str) -> bool:
    """Whether a cell says yes, no, or nothing."""
    return not cell or cell.casefold() in _YES | _NO


def are_flags(cells: Sequence[str]) -> bool:
    """Whether all cells say yes, no, or nothing."""
    return all(map(is_flag, set(cells)))


def read(
    file: Path, names: Sequence[str], places: Sequence[int], body: Sequence[Row]
) -> list[tuple[str, ...]]:
    """The classes of each row of a table with a column per class.

    A row that says no of every class is tagged background. Where nothing says no,
    a row without a yes has no tag: nobody may have looked.

    Args:
        file: the table, for errors.
        names: the classes.
        places: index of the column of each.
        body: the rows without the header.

    Raises:
        UserError: some cells say no and others are empty.
    """
    table = [
        [row.cells[i] if i < len(row.cells) else "" for i in places] for row in body
    ]
    there = set().union(*table)
    yes = {cell for cell in there if cell.casefold() in _YES}
    no = any(cell.casefold() in _NO for cell in there)
    if no and "" in there:
        row = next(n for n, cells in enumerate(table) if "" in cells)
        name = names[table[row].index("")]
        raise UserError(
            f"{file} line {body[row].line}: the cell of {name!r} is empty while "
            "others say 0; write 0 or 1"
        )
    none = (BACKGROUND,) if no else ()
    return [
        tuple([n for n, cell in zip(names, cells, strict=True) if cell in yes]) or none
        for cells in table
    ]
