"""One spelling per tag, and tags that mean no class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ppcjax.data_pipelines.sources import words
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.types import UserError


def spellings(
    file: Path,
    counts: Mapping[str, int],
    lines: Mapping[str, int],
    classes: Sequence[str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """How each tag is to be spelled.

    Tags that differ by case only are one: spelled as in the class list, else as
    `words.usual` has it.

    Args:
        file: the table, for errors.
        counts: how often each tag is there, as written.
        lines: the line where each is first.
        classes: names that are known.

    Returns:
        Spelling by tag, and warnings.

    Raises:
        UserError: a word may mean a class or none, or all tags are numbers.
    """
    known = {words.same(name): name for name in classes}
    groups: dict[str, list[str]] = {}
    for tag in counts:
        groups.setdefault(words.same(tag), []).append(tag)
    _check_numbers(file, groups, known, lines)
    chosen: dict[str, str] = {}
    warnings: list[str] = []
    for key, forms in groups.items():
        best = words.usual({form: counts[form] for form in forms})
        name = known.get(key, best)
        if key not in known and words.is_background(best):
            name = BACKGROUND
            if key != BACKGROUND:
                warnings.append(f"{file.name}: the tag {best!r} is read as background")
        elif key not in known and (words.is_unclear(best) or words.is_void(best)):
            raise UserError(
                f"{file} line {min(lines[form] for form in forms)}: the tag {best!r} "
                "may be a class or none; write background for a photo that shows none "
                "of the classes, or list it in classes.txt"
            )
        elif len(forms) > 1:
            shown = ", ".join(sorted(forms))
            warnings.append(
                f"{file.name}: {shown} differ only by case and are read as {name}"
            )
        exact = set(classes) & set(forms)
        chosen |= {form: form if form in exact else name for form in forms}
    return chosen, tuple(warnings)


def _check_numbers(file: Path, groups, known, lines: Mapping[str, int]) -> None:
    """Raises UserError where all tags are numbers: ids of what, from 0 or from 1?"""
    free = [key for key in groups if key not in known]
    if free and all(key.isdecimal() for key in groups):
        line = min(lines[form] for form in groups[free[0]])
        raise UserError(
            f"{file} line {line}: the tags are numbers, such as {free[0]}; write the "
            "names of the classes, or list the numbers in classes.txt"
        )
