"""What lies in a folder of photographs: photos, masks, tags, class lists, splits."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import formats, images
from ppcjax.data_pipelines.formats import Annotations
from ppcjax.data_pipelines.masks import LOSSY_SUFFIXES
from ppcjax.data_pipelines.sources import class_lists, files, layouts, stems
from ppcjax.data_pipelines.sources.class_lists import ClassList
from ppcjax.data_pipelines.sources.layouts import Placed
from ppcjax.types import UserError

_ARRAYS = (".npy", ".npz")
# What eval.py leaves in a folder of results, which holds pictures and masks.
_EXPORT = ("provenance.json", "metrics.json")
# Text that belongs to a data set, of which nothing is said where nobody reads it.
TABLES = (".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md")


class Contents(NamedTuple):
    """What lies in a folder.

    photos: image files by id.
    folders: sub-folders of each photo below its split, from the outermost.
    masks: mask files by their path without suffix and without the folder that says so.
    splits: ids of the splits that have folders of their own; empty without such.
    class_list: the list of classes; None where there is none.
    annotations: what the files of an annotation tool say; None where there are none.
    text: where the photos were found.
    mask_text: where the masks were found; "" for none.
    passed: what was passed over and why -> how many.
    warnings: what looks wrong, one line each.
    """

    photos: dict[str, Path]
    folders: dict[str, tuple[str, ...]]
    masks: dict[str, Path]
    splits: dict[str, tuple[str, ...]]
    class_list: ClassList | None
    annotations: Annotations | None
    text: str
    mask_text: str
    passed: Counter
    warnings: tuple[str, ...] = ()


def read(
    root: Path,
    asked: str,
    *,
    background: bool = True,
    labels: bool = True,
    keep_suffix: bool = False,
) -> Contents:
    """Everything that a folder holds, found by names.

    Args:
        root: the folder.
        asked: split that is asked for, which may be the name of a folder.
        background: whether id 0 is a background; see `class_lists.read`.
        labels: whether class lists and annotations are read, too.
        keep_suffix: whether ids of photos keep their suffix, so that photos may differ
            by it only.

    Raises:
        UserError: two photos have the same name, or a class list is damaged.
    """
    tree = files.walk(root)
    paths, passed = _pictures(root, tree)
    placed, more = layouts.place(paths)
    placed = layouts.strip_wrapper(placed)
    passed.update(more)
    photos, found = _photos_and_masks(root, placed, keep_suffix)
    # Where no mask is read, two of one photo are no question.
    one_of = _one_mask if labels else lambda files: files[0]
    masks = {key: one_of(files) for key, files in sorted(found.items())}
    arrays = [key for key, file in photos.items() if file.suffix.lower() in _ARRAYS]
    for key in arrays:
        del photos[key]
        passed["array that is no mask"] += 1
    kept = {root / one.path: one for one in placed}
    splits = _splits(photos, kept, asked)
    annotations, damaged, class_list = None, (), None
    if labels:
        annotations, damaged = _annotations(root, photos, masks)
        class_list = class_list_of([root, *tops(root, placed)], background)
    folders = {
        key: kept[file].folders[1:] if splits else kept[file].folders
        for key, file in photos.items()
    }
    return Contents(
        photos,
        folders,
        masks,
        splits,
        class_list,
        annotations,
        where(root, photos.values()),
        where(root, masks.values()),
        passed + Counter(annotations.passed if annotations else ()),
        damaged,
    )


def _annotations(
    root: Path, photos: Mapping[str, Path], masks: Mapping[str, Path]
) -> tuple[Annotations | None, tuple[str, ...]]:
    """What an annotation tool says; its error where masks or tags are there anyway."""
    try:
        return formats.find(root, photos), ()
    except UserError as error:
        if not masks and files.table_of_tags(root) is None:
            raise
        return None, (f"annotations are not read: {error}",)


def _pictures(root: Path, tree: files.Tree) -> tuple[list[Path], Counter]:
    """Images and arrays of a tree, and what else there is, by ending."""
    passed = Counter(tree.passed)
    names: dict[Path, set[str]] = defaultdict(set)
    for path in tree.files:
        names[path.parent].add(path.name)
    exports = {folder for folder, there in names.items() if there.issuperset(_EXPORT)}
    found = []
    for path in tree.files:
        suffix = path.suffix.lower()
        if exports.intersection(path.parents) and Path() not in exports:
            passed["file of an exported evaluation"] += 1
        elif suffix in (*images.IMAGE_SUFFIXES, *_ARRAYS):
            found.append(path)
        elif suffix not in TABLES:
            why = images.why_passed_over(path.name)
            passed[why or suffix or "file without ending"] += 1
    return found, passed


def _photos_and_masks(
    root: Path, placed: Sequence[Placed], keep_suffix: bool
) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Photo by id, and all masks by id; a mask may lie beside its photo.

    Raises:
        UserError: two files of the same name are not a photo and its mask.
    """
    photos: dict[str, list[Path]] = defaultdict(list)
    masks: dict[str, list[Path]] = defaultdict(list)
    for one in placed:
        there = photos if one.role == "photo" else masks
        there[files.id_of(one.key)].append(root / one.path)
    firsts = {key: found[0] for key, found in photos.items()}
    beside = stems.beside(firsts, masked=masks)
    for key in beside:
        masks[key] += photos.pop(key)
    twins = {key: found for key, found in photos.items() if len(found) > 1}
    for key, found in twins.items():
        pair = _photo_and_mask(found)
        if pair is not None and 2 * len(twins) >= len(photos):
            photos[key], masks[key] = [pair[0]], [*masks.get(key, ()), pair[1]]
        elif not keep_suffix:
            raise UserError(
                f"{found[0]} and {found[1].name} differ only by suffix or by how an "
                "accent is written; rename one"
            )
    named = {
        f"{key}{file.suffix}" if keep_suffix else key: file
        for key, found in photos.items()
        for file in found
    }
    return dict(sorted(named.items())), masks


def _photo_and_mask(found: Sequence[Path]) -> tuple[Path, Path] | None:
    """Which of two files of one name is the photo; None where both look like one."""
    lossy = [file for file in found if file.suffix.lower() in LOSSY_SUFFIXES]
    others = [file for file in found if file not in lossy]
    if len(lossy) != 1 or len(others) != 1 or not _looks_like_mask(others[0]):
        return None
    return lossy[0], others[0]


def _looks_like_mask(file: Path) -> bool:
    """Whether a file has one number per pixel, or few colours."""
    if file.suffix.lower() in _ARRAYS:
        return True
    try:
        with images.open_photo(file) as image:
            if image.mode in ("1", "L", "P", "I", "I;16"):
                return True
            return image.getcolors(256) is not None
    except images.DAMAGE:
        return False


def _one_mask(found: Sequence[Path]) -> Path:
    """The one without loss; UserError where there are several."""
    lossless = [f for f in found if f.suffix.lower() not in LOSSY_SUFFIXES] or list(
        found
    )
    if len(lossless) > 1:
        raise UserError(
            f"{lossless[0]} and {lossless[1]} are masks of the same photo; keep one"
        )
    return lossless[0]


def _splits(photos, kept: Mapping[Path, Placed], asked: str) -> dict[str, tuple]:
    """Ids of the splits that have folders of their own."""
    names = layouts.splits_of([kept[file] for file in photos.values()], asked)
    found: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for key, file in photos.items() if names else ():
        found[kept[file].folders[0]].append(key)
    return {name: tuple(ids) for name, ids in found.items()}


def tops(root: Path, placed: Sequence[Placed]) -> list[Path]:
    """Folders that a class list may lie in: those above and around the files."""
    found = {folder for one in placed for folder in one.path.parents}
    return [root / folder for folder in sorted(found) if folder != Path()]


def class_list_of(places: Sequence[Path], background: bool) -> ClassList | None:
    """The class list of a folder, else that beside photos or masks.

    Raises:
        UserError: two lists say different things.
    """
    lists = [class_lists.find(place, background=background) for place in places]
    there = [found for found in lists if found is not None]
    if not there:
        return None
    first = there[0]
    for other in there[1:]:
        if other.names != first.names:
            raise UserError(
                f"{first.file} lists {', '.join(first.names)}, but {other.file} "
                f"{', '.join(other.names)}; keep the one that is right"
            )
    return max(there, key=lambda one: (bool(one.colours), bool(one.label_ids)))


def where(root: Path, paths) -> str:
    """The folders of files, in a few words."""
    tops = {path.relative_to(root).parts[:-1][:2] for path in paths}
    names = sorted("/".join(top) + "/" if top else root.name + "/" for top in tops)
    if len(names) > 3:
        names = [*names[:3], f"and {len(names) - 3} more folders"]
    return ", ".join(names)


def instead(there: Contents) -> str:
    """What a folder without photos holds instead, in words for a message."""
    parts = [f"{count} {what}" for what, count in sorted(there.passed.items())]
    parts += [f"{len(there.masks)} masks"] if there.masks else []
    return f" that can be read here ({', '.join(parts)})" if parts else ""
