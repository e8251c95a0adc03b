"""How the files of annotation tools name photos."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.types import UserError

# Label Studio puts eight hexadecimal digits before the name of an uploaded file, and
# underscores in place of blanks.
_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_ABSOLUTE = re.compile(r"^(?:[A-Za-z]:)?[/\\]")
MISSING = "annotated photos that are not there"
_SUFFIXES = (
    ".jpg .jpeg .png .webp .bmp .tif .tiff .gif .heic .heif .avif .jp2 .jfif".split()
)


class Unusable(UserError):
    """A file of annotations that says nothing of the photos that are there."""


def clean(name: str) -> str:
    """A photo's path as ids are written: slashes, composed accents, no suffix."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    name = "/".join(parts)
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in _SUFFIXES else name


class Names(NamedTuple):
    """The photos that there are, by every end of their paths.

    ids: every photo.
    tails: "c", "b/c", "a/b/c" of an id "a/b/c" -> the ids that end so.
    folders: names of all folders in ids.
    """

    ids: frozenset[str]
    tails: Mapping[str, tuple[str, ...]]
    folders: frozenset[str]

    @classmethod
    def of(cls, photos: Mapping[str, Path]) -> "Names":
        """Those of a data set."""
        tails: dict[str, tuple[str, ...]] = {}
        for key in photos:
            for tail in _tails(unicodedata.normalize("NFC", key)):
                tails[tail] = (*tails.get(tail, ()), key)
        folders = {part for key in photos for part in key.split("/")[:-1]}
        return cls(frozenset(photos), tails, frozenset(folders))

    def find(self, name: str, where: str, near: Sequence[str] = ()) -> str | None:
        """The photo that a file calls `name`; None where there is none.

        One path must be the end of the other, so that "b/1.jpg" is never "a/1.jpg".

        Args:
            name: file name or path.
            where: who calls it so, for errors.
            near: folders in which it is looked for first.

        Raises:
            UserError: several photos are called so.
        """
        found = self._find(clean(name), where, near)
        last = clean(name).rpartition("/")[2]
        if found is None and _PREFIX.match(last):
            plain = _PREFIX.sub("", last)
            found = self._find(plain, where, near)
            found = found or self._find(plain.replace("_", " "), where, near)
        return found

    def has_folder(self, folder: str) -> bool:
        """Whether a photo lies in a folder, at any depth."""
        return any(key.startswith(f"{clean(folder)}/") for key in self.ids)

    def find_foreign(self, name: str, near: Sequence[str]) -> str | None:
        """The photo that a path on another computer means; None where that is unclear.

        It is the one photo of that file name in a folder, unless the path leads
        through another folder that is there, too.

        Args:
            name: absolute path; for others the answer is None.
            near: folders below which it may lie; "" for all.
        """
        if not _ABSOLUTE.match(name):
            return None
        *above, last = clean(name).split("/")
        below = tuple(f"{clean(folder)}/".lstrip("/") for folder in near)
        found = [key for key in self.tails.get(last, ()) if key.startswith(below)]
        if len(found) != 1:
            return None
        other = self.folders.intersection(above).difference(found[0].split("/"))
        return None if other else found[0]

    def _find(self, name: str, where: str, near: Sequence[str]) -> str | None:
        if not name:
            return None
        for candidate in (*(f"{clean(folder)}/{name}" for folder in near), name):
            candidate = candidate.lstrip("/")
            if candidate in self.ids:
                return candidate
            found = self.tails.get(candidate, ())
            if len(found) > 1 and candidate == name:
                raise UserError(
                    f"{where}: {name!r} is the name of several photos, such as "
                    f"{found[0]} and {found[1]}; write the path below the root"
                )
            if len(found) == 1:
                return found[0]
            for tail in _tails(candidate):
                if tail in self.ids:
                    return tail
        return None


def _tails(key: str) -> list[str]:
    """Ends of a path, the longest first."""
    parts = key.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


def need_photos(found: int, missing: Sequence[str], where: str, root: Path) -> None:
    """Raises Unusable where a file names photos and none of them is there."""
    if missing and not found:
        raise Unusable(
            f"{where}: names {len(missing)} photos, such as {missing[0]!r}, and none "
            f"of them is below {root}; put the photos there, or remove that file"
        )
