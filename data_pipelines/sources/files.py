"""Finding files: directories, images by id, split lists."""

import errno
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.console import plain
from ppcjax.data_pipelines import regular
from ppcjax.data_pipelines.images import IMAGE_SUFFIXES
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

IMAGE_FOLDERS = ("images", "JPEGImages")
_LIST_FOLDERS = ("splits", "ImageSets/Segmentation")
_SPLIT_LISTS = ("train", "val", "valid", "validation", "test", "trainval")
# What operating systems, network drives and archives leave among people's files. They
# hold pictures of the same names as the photos, only smaller.
_JUNK_FOLDERS = {
    *("@eadir", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found"),
    *("system volume information", "thumbnails", "_thumbs", "__pycache__"),
}
_NO_UTF8 = "{} whose name is not UTF-8"
_JUNK_FILES = {"thumbs.db", "desktop.ini", "ehthumbs.db", "picasa.ini", "icon\r"}


class Tree(NamedTuple):
    """The files of a folder.

    files: paths relative to the folder, sorted.
    passed: what was passed over and why -> how many.
    """

    files: tuple[Path, ...]
    passed: Counter


def directory(root: str, advice: str) -> Path:
    """The directory `root`; raises UserError with `advice` where it is missing."""
    if not root:
        raise UserError(f"config.data.root is empty; {advice}")
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"config.data.root={root}: no such directory; {advice}")
    return path


def table_of_tags(root: Path) -> Path | None:
    """The file tags.csv of a folder, in any case of letters, if it is there."""
    there = (f for f in sorted(root.iterdir()) if f.name.lower() == "tags.csv")
    return next((file for file in there if is_there(file)), None)


def is_there(file: Path) -> bool:
    """Whether a text that is known by its name is there.

    Raises:
        UserError: something else has that name: a pipe, a device, a link to nowhere.
    """
    why = unusable(file.parent, file.name) if os.path.lexists(file) else "folder"
    if why not in ("", "folder"):
        raise UserError(f"{file}: {why}, not a text file; remove or rename it")
    return not why


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is none of a person's."""
    low = name.lower()
    return name[0] == "." or low in _JUNK_FOLDERS or low in _JUNK_FILES


def walk(root: Path) -> Tree:
    """All files below `root`, links followed, each folder once.

    Hidden files and what `is_junk` knows are passed over, and so are links that lead
    nowhere or back, folders that cannot be opened, and what is no regular file.

    Args:
        root: where to look.
    """
    passed: dict[str, list[str]] = {}
    found: list[Path] = []
    for below, names in folders(root, passed):
        for name in sorted(names):
            if is_junk(name):
                continue
            why = unusable(root / below, name)
            if why:
                passed.setdefault(why, []).append(str(below / name))
            else:
                found.append(below / name)
    return Tree(tuple(sorted(found)), named(passed))


def named(passed: Mapping[str, Sequence[str]]) -> Counter:
    """What was passed over and why, with a name -> how many.

    Args:
        passed: why -> names of what was.
    """
    return Counter(
        {
            f"{why} ({'such as ' * (len(names) > 1)}{plain.line(names[0])})": len(names)
            for why, names in passed.items()
        }
    )


def folders(
    root: Path, passed: dict[str, list[str]]
) -> Iterator[tuple[Path, list[str]]]:
    """Each folder from `root` on, once, relative to it, and names of what it holds.

    Args:
        root: where to begin.
        passed: gets why folders were passed over, and their names.
    """
    seen = {os.path.realpath(root)}

    def pass_over(why: str, folder: str | Path) -> None:
        passed.setdefault(why, []).append(os.path.relpath(folder, root))

    def unreadable(error: OSError) -> None:
        why = f"folder that cannot be opened, {error.strerror}"
        pass_over(why, error.filename or root)

    def is_new(folder: Path) -> bool:
        real = os.path.realpath(folder)
        why = _NO_UTF8.format("folder") if not is_utf8(folder.name) else ""
        why = why or ("link to a folder that is there already" if real in seen else "")
        if why:
            pass_over(why, folder)
        seen.add(real)
        return not why

    for folder, inside, names in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder)
        inside[:] = sorted(f for f in inside if not is_junk(f) and is_new(here / f))
        yield here.relative_to(root), names


def unusable(folder: Path, name: str) -> str:
    """Why what lies in a folder under a name is not looked at; "" where it is."""
    if not is_utf8(name):
        return _NO_UTF8.format("file")
    try:
        found = regular.kind(os.stat(folder / name).st_mode)
    except OSError as error:
        dead = error.errno in (errno.ENOENT, errno.ELOOP)
        return "link that leads nowhere" if dead else str(error.strerror)
    return found.removeprefix("it is a ")


def is_utf8(name: str) -> bool:
    """Whether a name is text; bytes that are none cannot be written to any file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_suffix(name: str) -> str:
    """The name without the suffix of an image file, if it has one."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def normal(name: str) -> str:
    """A name whose accented letters are single characters.

    Some systems write them as letter and accent, which compares as another name.
    """
    return unicodedata.normalize("NFC", name)


def id_of(path: Path) -> str:
    """The id of an image at a path relative to its folder."""
    return normal(without_suffix(path.as_posix()))


def as_id(name: str) -> str:
    """The id that a list or a table means by a file name or path."""
    name = normal(name.strip().replace("\\", "/")).removeprefix("./").lstrip("/")
    for folder in IMAGE_FOLDERS:
        name = name.removeprefix(f"{folder}/")
    return without_suffix(name)


def find_images(
    root: Path, *, suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> dict[str, Path]:
    """All image files below `root`, by relative path without suffix, sorted.

    Args:
        root: where to look; see `walk`.
        suffixes: lower-case suffixes that count; files may have them in any case.

    Raises:
        UserError: two files differ only by suffix.
    """
    paths = walk(root).files
    return by_id(root, [p for p in paths if p.name.lower().endswith(suffixes)])


def by_id(
    root: Path, paths: list[Path], *, keep_suffix: bool = False
) -> dict[str, Path]:
    """Files at relative paths by id, sorted.

    Args:
        root: folder that the paths are relative to.
        paths: paths of the files.
        keep_suffix: whether those that differ only by suffix keep it in their ids.

    Raises:
        UserError: two have the same id.
    """
    keys = [id_of(path) for path in paths]
    count = Counter(keys if keep_suffix else ())
    found: dict[str, Path] = {}
    for path, bare in zip(paths, keys, strict=True):
        key = normal(path.as_posix()) if count[bare] > 1 else bare
        if key in found:
            raise UserError(
                f"{root / path} and {found[key].name} differ only by suffix or by how "
                "an accent is written; rename one"
            )
        found[key] = root / path
    return dict(sorted(found.items()))


def read_list(file: Path) -> list[str]:
    """The ids of a split list.

    A line is an id, the path of an image, or the paths of an image and its mask
    ("/JPEGImages/ID.jpg /SegmentationClassAug/ID.png").
    """
    ids = []
    for line in read_text(file).split("\n"):
        first, _, second = line.strip().partition(" ")
        pair = second.strip().lower().endswith(".png")
        ids.append(as_id(first if pair else line))
    return list(dict.fromkeys(i for i in ids if i))


def all_lists(root: Path) -> list[Path]:
    """The lists of all splits, sorted; beside photos only those of usual names."""
    found = [f for d in _LIST_FOLDERS for f in sorted((root / d).glob("*.txt"))]
    for folder in ("", "ImageSets", "ImageSets/Main"):
        lists = sorted((root / folder).glob("*.txt"))
        found += [file for file in lists if file.stem.lower() in _SPLIT_LISTS]
    return found


def find_list(root: Path, split: str) -> Path | None:
    """The list of a split, where there is one.

    The published lists of VOC come as train_aug.txt and as trainaug.txt.
    """
    names = dict.fromkeys((split, split.replace("_", ""), _spaced(split)))
    for folder in _LIST_FOLDERS:
        for name in names:
            if is_there(root / folder / f"{name}.txt"):
                return root / folder / f"{name}.txt"
    return None


def _spaced(split: str) -> str:
    return "train_aug" if split == "trainaug" else split
