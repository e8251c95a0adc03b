"""Which photo a cell of a table, or a line of a list, names."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from ppcjax.data_pipelines.images import IMAGE_SUFFIXES
from ppcjax.types import UserError

_SUFFIXES = frozenset(IMAGE_SUFFIXES)


class Finder:
    """Finds photos by path, by the end of a path, or by file name.

    Built once for all ids, as a table may have as many rows.
    """

    def __init__(self, ids: Iterable[str]):
        self._ids = tuple(ids)
        self._by_path = _index((unicodedata.normalize("NFC", i), i) for i in self._ids)

    @cached_property
    def _by_name(self) -> dict[str, tuple[str, ...]]:
        paths = ((unicodedata.normalize("NFC", key), key) for key in self._ids)
        return _index((path.rpartition("/")[2], key) for path, key in paths)

    @cached_property
    def _loose(self) -> "Finder":
        """The photos by names without case."""
        found = Finder(())
        found._ids = self._ids
        found._by_path = _index((as_path(i).casefold(), i) for i in self._ids)
        found._by_name = _index(
            (as_path(i).casefold().rpartition("/")[2], i) for i in self._ids
        )
        return found

    @cached_property
    def _text(self) -> str:
        lines = "\n".join(map(as_path, self._ids)).casefold()
        return f"/{lines}/".replace("\n", "/\n/")

    def _may_be(self, path: str) -> bool:
        """False where no photo has such a name, which costs less than an index."""
        ends = [form.rpartition("/")[2] for form in _forms(path)]
        return any(f"/{end}{sign}" in self._text for end in ends for sign in "/.")

    def find(self, name: str) -> tuple[str, ...]:
        """The ids that a name may mean: one, none, or several where it is ambiguous.

        Case, and signs written as %20, count only where nothing is found with them.

        Args:
            name: id, path or file name, with or without suffix, from any system.
        """
        path = as_path(name)
        found = self._exactly(path)
        for other in (path, as_path(unquote(path))) if path and not found else ():
            loose = other.casefold()
            if not found and self._may_be(loose):
                found = self._loose._exactly(loose)
        return found

    def _exactly(self, path: str) -> tuple[str, ...]:
        for form in _forms(path):
            found = self._by_path.get(form)
            if not found:
                # The id may have more folders in front than the name ...
                same = self._by_name.get(form.rpartition("/")[2], ())
                end = f"/{form}"
                found = [key for key in same if _ends(key, end)]
            rest = form
            while not found and "/" in rest:
                # ... or the name more than the id.
                rest = rest.partition("/")[2]
                found = self._by_path.get(rest)
            if found:
                return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)
        return ()


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Ids by each form of a path."""
    found: dict[str, tuple[str, ...]] = {}
    for path, key in pairs:
        for form in _forms(path):
            before = found.get(form)
            found[form] = (key,) if before is None else (*before, key)
    return found


def _ends(key: str, end: str) -> bool:
    path = f"/{unicodedata.normalize('NFC', key)}"
    return any(f.endswith(end) or f.casefold().endswith(end) for f in _forms(path))


def _forms(path: str) -> tuple[str, ...]:
    """A path as it is and, where it has the suffix of an image, without."""
    stem, dot, suffix = path.rpartition(".")
    short = dot and stem and f".{suffix.lower()}" in _SUFFIXES
    return (path, stem) if short and stem[-1] != "/" else (path,)


def as_path(name: str) -> str:
    """A name as a path from any system: slashes, nothing in front, NFC."""
    path = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    if not path.startswith(("/", ".")) and "//" not in path and "/." not in path:
        return path.rstrip("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)


def match_rows(file: Path, names: list[tuple[int, str]], finder: Finder) -> list[str]:
    """The id that each row names.

    Args:
        file: the table, for errors.
        names: line and cell of each row.
        finder: the photos that there are.

    Raises:
        UserError: rows name no photo, or several, or the same photo by two paths.
    """
    found = [finder.find(name) for _, name in names]
    missing = [row for row, keys in zip(names, found, strict=True) if not keys]
    if len(missing) * 2 > len(names):
        shown = ", ".join(repr(name) for _, name in missing[:3])
        raise UserError(
            f"{file}: is a table of other photos: {len(missing)} of its {len(names)} "
            f"rows name no image below the root, such as {shown}; write paths "
            "relative to the image folder"
        )
    for (line, name), keys in zip(names, found, strict=True):
        if len(keys) != 1:
            problem = "several images" if keys else "no image"
            others = len(missing) - 1
            more = "" if keys or not others else f" (so do {others} rows more)"
            raise UserError(
                f"{file} line {line}: {name!r} is the name of {problem} below the root"
                f"{more}; write the path relative to the image folder, or remove the "
                "row"
            )
    _check_same(file, names, found)
    return [keys[0] for keys in found]


def _check_same(file: Path, names: list[tuple[int, str]], found) -> None:
    """Raises UserError where two paths that differ were taken for one photo."""
    counts = Counter(key for (key,) in found)
    paths: dict[str, str] = {}
    for (line, name), (key,) in zip(names, found, strict=True):
        if counts[key] == 1:
            continue
        path = as_path(name)
        known = paths.setdefault(key, path)
        if path != known:
            short, long = sorted((_forms(path)[-1], _forms(known)[-1]), key=len)
            if not f"/{long}".endswith(f"/{short}"):
                raise UserError(
                    f"{file} line {line}: {name!r} and {known!r} would be the same "
                    f"image {key!r}; correct one, or write paths relative to the image "
                    "folder"
                )
