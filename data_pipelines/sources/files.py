"""Finding files: directories, images by id, split lists."""

import os
import stat
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

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
    return next((file for file in there if file.is_file()), None)


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
    passed: Counter = Counter()
    found: list[Path] = []
    seen = {os.path.realpath(root)}

    def unreadable(error: OSError) -> None:
        passed[f"folder that cannot be opened ({error.strerror})"] += 1

    for folder, folders, names in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder)
        below = here.relative_to(root)
        folders[:] = sorted(
            f
            for f in folders
            if not is_junk(f) and not _was_seen(here / f, seen, passed)
        )
        for name in sorted(names):
            if is_junk(name):
                continue
            why = _unusable(folder, name)
            if why:
                passed[why] += 1
            else:
                found.append(below / name)
    return Tree(tuple(sorted(found)), passed)


def _was_seen(folder: Path, seen: set[str], passed: Counter) -> bool:
    real = os.path.realpath(folder)
    if real in seen:
        passed["link to a folder that is there already"] += 1
        return True
    seen.add(real)
    return False


def _unusable(folder: str, name: str) -> str:
    """Why a file is not looked at; "" where it is."""
    try:
        name.encode()
        mode = os.stat(os.path.join(folder, name)).st_mode
    except UnicodeEncodeError:
        return "file whose name is not UTF-8"
    except OSError:
        return "link that leads nowhere"
    return "" if stat.S_ISREG(mode) else "no regular file"


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
    for path, plain in zip(paths, keys, strict=True):
        key = normal(path.as_posix()) if count[plain] > 1 else plain
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
            if (root / folder / f"{name}.txt").is_file():
                return root / folder / f"{name}.txt"
    return None


def _spaced(split: str) -> str:
    return "train_aug" if split == "trainaug" else split
