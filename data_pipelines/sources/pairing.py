"""Which mask belongs to which photo, by their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SEPARATOR = r"[_\-. ]+"
# What tools put before or behind the name of a photo to name its mask, and what people
# put there to name the photo.
MASK_WORDS = (
    *("mask", "masks", "label", "labels", "labelids", "labeltrainids", "gtfine"),
    *("gt", "groundtruth", "ground_truth", "seg", "segmentation", "segmented", "ann"),
    *("annotation", "annotated", "target", "matte", "l", "p", "pixels"),
)
# Those that say it without any doubt, also beside photos.
SURE_WORDS = ("mask", "masks", "label", "labels", "gt", "seg", "segmentation")
PHOTO_WORDS = ("image", "img", "photo", "sat", "rgb", "leftimg8bit", "original", "im")


class Pairs(NamedTuple):
    """Masks by photo.

    whole: mask file of each photo that has one of all classes.
    parts: masks of single classes of each photo that has such, with the names of the
        classes as the files give them.
    text: how they were told, in a few words.
    alone: masks that belong to no photo.
    """

    whole: dict[str, Path]
    parts: dict[str, tuple[tuple[str, Path], ...]]
    text: str
    alone: tuple[Path, ...]


def pair(
    photos: Sequence[str], masks: Mapping[str, Path], classes: Sequence[str] = ()
) -> Pairs:
    """Masks of photos.

    The rules are tried in this order, each on what the earlier ones left: the same
    path; the same but for words such as "_mask" and "_image"; one mask per class, in a
    folder of its name; the same file name in another folder; one mask per class, its
    name behind that of the photo; and the same suffix, whatever it is, behind most.

    Args:
        photos: ids.
        masks: files by their path without suffix.
        classes: names of classes that are known, without the background.
    """
    whole: dict[str, Path] = {}
    parts: dict[str, tuple[tuple[str, Path], ...]] = {}
    rules: list[str] = []
    left = dict(masks)

    def take(found: Mapping[str, str], text: str) -> None:
        for photo, mask in found.items():
            whole[photo] = left.pop(mask)
        if found:
            rules.append(text)

    def of_classes(forms: Mapping[str, Callable]) -> None:
        free = [p for p in photos if p not in whole and p not in parts]
        found, text = _per_class(free, left, classes, forms)
        parts.update(found)
        rules.extend([text] if found else [])
        for name in {key for key, file in left.items() if file in _files(found)}:
            del left[name]

    take({p: p for p in photos if p in left}, "the names of the photos")
    take(*_decorated([p for p in photos if p not in whole], left))
    of_classes({"a folder per class": _class_folder, "a folder per photo": _per_photo})
    if not parts:
        take(*_by_name([p for p in photos if p not in whole], left))
        of_classes({"a mask per class, as ID_CLASS": _split_names})
    if not parts:
        take(*_common_suffix([p for p in photos if p not in whole], left))
    return Pairs(whole, parts, " or ".join(rules), tuple(left.values()))


def _files(parts: Mapping[str, tuple[tuple[str, Path], ...]]) -> set[Path]:
    return {file for found in parts.values() for _, file in found}


def core(key: str, words: Sequence[str]) -> str:
    """An id without such words before and behind its file name, in lower case."""
    folder, slash, stem = key.lower().rpartition("/")
    any_of = "|".join(words)
    before = re.compile(rf"(?:{any_of}){_SEPARATOR}")
    behind = re.compile(rf"{_SEPARATOR}(?:{any_of})$")
    while True:
        first, last = before.match(stem), behind.search(stem)
        shorter = stem[first.end() if first else 0 : last.start() if last else None]
        if shorter == stem or not shorter:
            return folder + slash + stem
        stem = shorter


def _decorated(photos: Sequence[str], masks: Mapping[str, Path]):
    """Pairs whose names differ only by words, and how."""
    by_core = _unique((core(key, MASK_WORDS), key) for key in masks)
    cores = Counter(core(p, PHOTO_WORDS) for p in photos)
    found, used = {}, set()
    for photo in photos:
        for name in dict.fromkeys((photo.lower(), core(photo, PHOTO_WORDS))):
            mask = by_core.get(name)
            unique = name == photo.lower() or cores[name] == 1
            if mask is not None and unique and mask not in used:
                found[photo] = mask
                used.add(mask)
                break
    return found, _example(found)


def _by_name(photos: Sequence[str], masks: Mapping[str, Path]):
    """Pairs of the same file name, which must be the only ones of that name."""
    by_stem = _unique((key.rpartition("/")[2], key) for key in masks)
    stems = Counter(p.rpartition("/")[2] for p in photos)
    found = {
        p: by_stem[stem]
        for p in photos
        if stems[stem := p.rpartition("/")[2]] == 1 and stem in by_stem
    }
    return found, "the names of the photos in other folders"


def _common_suffix(photos: Sequence[str], masks: Mapping[str, Path]):
    """Pairs by the suffix that most of the masks have behind the name of a photo."""
    suffixes: Counter = Counter()
    for key in masks:
        suffixes.update({s for p, s in _split_names(key) if p in set(photos)})
    if not suffixes:
        return {}, ""
    suffix, count = max(suffixes.items(), key=lambda item: (item[1], item[0]))
    if 2 * count < min(len(masks), len(photos)):
        return {}, ""
    found = {p: p + suffix for p in photos if p + suffix in masks}
    return found, _example(found)


def _per_class(photos: Sequence[str], masks: Mapping[str, Path], classes, forms):
    """Masks of single classes, and how their names tell the class.

    Args:
        photos: ids without a mask so far.
        masks: files that belong to no photo so far.
        classes: names that are known; without any, those of folders are taken.
        forms: words for each form, and what takes a path apart into (photo, class).
    """
    known = {c.lower(): c for c in classes}
    there = set(photos)
    for text, form in forms.items():
        found: dict[str, dict[str, Path]] = defaultdict(dict)
        for key, file in sorted(masks.items()):
            for photo, name in form(key):
                name = name.strip("_-. ")
                listed = known.get(name.lower(), known.get(_spaced(name)))
                guessed = None if classes or form is _split_names else name
                if photo in there and (listed or guessed):
                    found[photo][listed or guessed] = file
        if found:
            return {p: tuple(found[p].items()) for p in photos if p in found}, text
    return {}, ""


def _spaced(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")


def _class_folder(key: str):
    """Every way to take one folder out of a path, as (path, folder)."""
    *folders, stem = key.split("/")
    for i, folder in enumerate(folders):
        yield "/".join((*folders[:i], *folders[i + 1 :], stem)), folder


def _per_photo(key: str):
    folder, slash, stem = key.rpartition("/")
    if slash:
        yield folder, stem


def _split_names(key: str):
    """Every way to take a name apart at a separator, as (before, rest)."""
    start = key.rfind("/") + 1
    for match in re.finditer(_SEPARATOR, key[start:]):
        if match.start():
            yield key[: start + match.start()], key[start + match.start() :]


def _unique(pairs) -> dict[str, str]:
    """Pairs whose first is there once."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, key in pairs:
        found[name].append(key)
    return {name: keys[0] for name, keys in found.items() if len(keys) == 1}


def _example(found: Mapping[str, str]) -> str:
    for photo, mask in found.items():
        stems = (key.rpartition("/")[2] for key in (mask, photo))
        return "names such as {} of {}".format(*stems)
    return ""


def beside(photos: Mapping[str, Path], masked: Iterable[str] = ()) -> dict[str, Path]:
    """Files among photos that are masks of others, by name: a_mask.png beside a.jpg.

    A file that lies beside one of its own kind, as a_mask.jpg beside a.jpg, is one
    only where half of the photos have such a file. Where most files of such names have
    a photo, the others are masks, too.

    Args:
        photos: files by their path without suffix.
        masked: ids of photos that have a mask elsewhere, and so are none themselves.
    """
    cores: dict[str, Path] = {}
    for key, file in photos.items():
        cores.setdefault(core(key, PHOTO_WORDS), file)
    named = {
        key: plain
        for key in photos.keys() - set(masked)
        if (plain := core(key, SURE_WORDS)) != key.lower()
    }
    of = {
        key: next(
            (cores[n] for n in (plain, core(plain, PHOTO_WORDS)) if n in cores), None
        )
        for key, plain in sorted(named.items())
    }
    sure = [key for key, photo in of.items() if photo is not None]
    alike = [
        key for key in sure if of[key].suffix.lower() == photos[key].suffix.lower()
    ]
    if alike and 3 * len(sure) < len(photos):
        sure = [key for key in sure if key not in alike]
    chosen = list(of) if sure and 2 * len(sure) > len(of) else sure
    return {key: photos[key] for key in sorted(chosen)}
