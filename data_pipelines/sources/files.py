"""Finding files: directories, images by id, split lists."""

import os
from pathlib import Path

from ppcjax.data_pipelines.images import IMAGE_SUFFIXES
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

IMAGE_FOLDERS = ("images", "JPEGImages")
_LIST_FOLDERS = ("splits", "ImageSets/Segmentation")


def directory(root: str, advice: str) -> Path:
    """The directory `root`; raises UserError with `advice` where it is missing."""
    if not root:
        raise UserError(f"config.data.root is empty; {advice}")
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"config.data.root={root}: no such directory; {advice}")
    return path


def without_suffix(name: str) -> str:
    """The name without the suffix of an image file, if it has one."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def as_id(name: str) -> str:
    """The id that a list or a table means by a file name or path."""
    name = name.strip().replace("\\", "/").removeprefix("./").lstrip("/")
    for folder in IMAGE_FOLDERS:
        name = name.removeprefix(f"{folder}/")
    return without_suffix(name)


def find_images(
    root: Path,
    *,
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
    leave_out=(),
    keep_suffix: bool = False,
) -> dict[str, Path]:
    """All image files below `root`, by relative path without suffix, sorted.

    Hidden files and directories are passed over.

    Args:
        root: where to look.
        suffixes: lower-case suffixes that count; files may have them in any case.
        leave_out: names of directories directly below `root` that are passed over.
        keep_suffix: whether suffixes stay, so that files may differ by them only.

    Raises:
        UserError: two files differ only by suffix.
    """
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(root, followlinks=True):
        top = Path(folder) == root
        folders[:] = sorted(
            f for f in folders if f[0] != "." and not (top and f in leave_out)
        )
        for name in sorted(names):
            if name[0] == "." or not name.lower().endswith(suffixes):
                continue
            file = Path(folder) / name
            key = file.relative_to(root).as_posix()
            key = key if keep_suffix else without_suffix(key)
            if key in found:
                raise UserError(
                    f"{file} and {found[key].name} differ only by suffix; rename one"
                )
            found[key] = file
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
    """The lists of all splits, sorted."""
    return [f for d in _LIST_FOLDERS for f in sorted((root / d).glob("*.txt"))]


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
