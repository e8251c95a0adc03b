"""Which classes are held out: by name, or by the folds of the published tables."""

from collections.abc import Sequence

from ppcjax.types import UserError

# Name -> folds, classes, and how classes are dealt to folds. The interleaved folds of
# COCO are those of PFENet, HSNet and ASGNet; the contiguous ones those of PANet.
FOLDS = {
    "pascal-5i": (4, 20, "contiguous"),
    "coco-20i": (4, 80, "contiguous"),
    "coco-20i-interleaved": (4, 80, "interleaved"),
}


def fold_ids(name: str, fold: int) -> tuple[int, ...]:
    """Class ids, from 1, that a fold holds out.

    Args:
        name: a key of FOLDS.
        fold: from 0.
    """
    folds, classes, order = FOLDS[name]
    size = classes // folds
    if order == "contiguous":
        return tuple(range(size * fold + 1, size * (fold + 1) + 1))
    return tuple(range(fold + 1, classes + 1, folds))


def class_ids(field: str, names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Ids of classes given by name or by fold, sorted.

    Args:
        field: setting that holds the names, for messages.
        names: class names, or folds such as "pascal-5i:0".
        classes: names of the source's classes, background first.

    Raises:
        UserError: a name is neither; a fold does not fit the class count.
    """
    found: set[int] = set()
    for name in names:
        table, colon, fold = name.partition(":")
        if name in classes[1:]:
            found.add(list(classes).index(name))
        elif colon and table in FOLDS:
            found.update(_fold(field, name, table, fold, len(classes) - 1))
        else:
            raise UserError(
                f"{field}: there is no class {name!r}; give names of "
                f"{', '.join(classes[1:])}, or a fold such as 'pascal-5i:0'"
            )
    return sorted(found)


def _fold(field, name, table, fold, count) -> tuple[int, ...]:
    folds, needed, _ = FOLDS[table]
    if fold not in map(str, range(folds)) or count != needed:
        raise UserError(
            f"{field}: {name!r} has folds 0..{folds - 1} of {needed} classes, and the "
            f"data has {count}"
        )
    return fold_ids(table, int(fold))
