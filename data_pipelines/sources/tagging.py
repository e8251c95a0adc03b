"""Which classes each photo of a folder shows, as far as somebody says so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.sources import class_lists, files, layouts, tables, words
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.contents import Contents
from ppcjax.types import UserError

_TABLES = (".csv", ".tsv", "tags.txt")
_NO_TABLES = (*class_lists.FILES, "boxes.csv")


class Tags(NamedTuple):
    """Tags of the photos of a folder.

    by_photo: names of the classes of each photo that has tags; None where nobody says.
    text: where they come from and how they are written.
    where: file or folder, for messages.
    warnings: what was guessed, one line each.
    """

    by_photo: dict[str, tuple[str, ...]] | None
    text: str
    where: str
    warnings: tuple[str, ...] = ()


def find(root: Path, there: Contents, known: Sequence[str]) -> Tags:
    """Tags of a table, else of annotations, else of folders.

    Args:
        root: the folder.
        there: what lies in it.
        known: names of classes that are known, without the background.

    Raises:
        UserError: a table is malformed, or a folder of a tag holds no photo.
    """
    file = files.table_of_tags(root)
    if file is not None:
        return _of_table(file, there, known)
    if there.annotations is not None and there.annotations.tags:
        text = there.annotations.text
        tags = {
            k: names or (BACKGROUND,) for k, names in there.annotations.tags.items()
        }
        warnings = there.annotations.warnings
        if not there.masks:  # else nobody looks at those that annotations draw
            warnings += there.annotations.mask_warnings
        return Tags(tags, text, text, warnings)
    found = {key: (folders[0],) for key, folders in there.folders.items() if folders}
    if not found and there.masks:
        return Tags(None, "what the masks show", "")
    if not found:
        return _of_other_table(root, there, known)
    names = {name for (name,) in found.values()}
    spelt = {words.same(name): name for name in known}
    if known and not any(_named(name, spelt) for name in names):
        shown = ", ".join(f"{name}/" for name in sorted(names)[:3])
        warning = (
            f"sub-folders such as {shown} are no tags, as none is called as a class"
        )
        if there.masks:
            return Tags(None, "what the masks show", "")
        return Tags(None, "", "", (warning,))
    _no_empty_tag(root, there, names)
    renamed = _spellings([name for (name,) in found.values()], spelt)
    warnings = tuple(
        f"the folder {name}/ is read as the class {new}"
        for name, new in sorted(renamed.items())
        if name != new
    )
    warnings += tuple(
        f"the folder {name}/ is read as a tag and not as a split, as tags lie beside it"
        for name in sorted(names)
        if layouts.is_split(name) and not _named(name, spelt)
    )
    tags = {key: (renamed[name],) for key, (name,) in found.items()}
    return Tags(tags, "one sub-folder per tag", str(root), warnings)


def _of_table(file: Path, there: Contents, known: Sequence[str], *said: str) -> Tags:
    table = tables.read_table(file, there.photos, known)
    return Tags(table.tags, table.text, str(file), (*said, *table.warnings))


def _of_other_table(root: Path, there: Contents, known: Sequence[str]) -> Tags:
    """Tags of the one table of another name than tags.csv that names the photos.

    Raises:
        UserError: there are several such tables, or a damaged one and no other.
    """
    found, why = [], []
    for file in sorted(root.iterdir()):
        name = file.name.lower()
        if name.endswith(_TABLES) and name not in _NO_TABLES and file.is_file():
            said = f"there is no tags.csv; {file.name} is read as the table of tags"
            try:
                found.append(_of_table(file, there, known, said))
            except UserError as error:
                why.append(str(error))
    if len(found) > 1:
        names = " and ".join(Path(tags.where).name for tags in found)
        raise UserError(f"{root}: {names} may be the table of tags; call it tags.csv")
    if why and not found:
        raise UserError(f"{why[0]}; or write tags.csv, if that is no table of tags")
    return found[0] if found else Tags(None, "", "")


def _spellings(folders: Sequence[str], spelt: Mapping[str, str]) -> dict[str, str]:
    """The class of each folder: a known one, else the name that most photos have."""
    counts = Counter(folders)
    groups: dict[str, dict[str, int]] = {}
    for name in sorted(counts):
        groups.setdefault(words.same(name), {})[name] = counts[name]
    usual = {key: words.usual(group) for key, group in groups.items()}
    return {
        name: _named(name, spelt) or usual[words.same(name)] for name in sorted(counts)
    }


def _named(folder: str, spelt: Mapping[str, str]) -> str | None:
    """The class that a folder's name means; None for a new one."""
    if words.is_background(folder):
        return BACKGROUND
    plain = words.same(folder)
    return spelt.get(plain, spelt.get(plain.replace("_", " ")))


def _no_empty_tag(root: Path, there: Contents, names) -> None:
    """UserError where a folder beside those of tags holds no photo."""
    beside = {
        file.parents[len(there.folders[key])]
        for key, file in there.photos.items()
        if there.folders[key]
    }
    used = {f.parents[i] for f in there.photos.values() for i in range(len(f.parents))}
    used |= {f.parents[i] for f in there.masks.values() for i in range(len(f.parents))}
    for top in sorted(beside):
        for place in sorted(top.iterdir()):
            if place.is_dir() and place not in used and _may_be_tag(place.name):
                raise UserError(
                    f"{place}: this tag has no image; put photographs there or "
                    "remove it"
                )


def _may_be_tag(name: str) -> bool:
    no_tags = ("splits", "imagesets", "annotations", *layouts.OTHER_WORDS)
    return not files.is_junk(name) and name.lower() not in no_tags
