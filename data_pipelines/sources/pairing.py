"""Which mask belongs to which photo, by their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.sources.stems import (
    MASK_WORDS,
    PHOTO_WORDS,
    SEPARATOR,
    core,
    cores,
)


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

    def free() -> list[str]:
        return [p for p in photos if p not in whole and p not in parts]

    def of_classes(forms: Mapping[str, Callable]) -> None:
        found, text = _per_class(free(), left, classes, forms)
        parts.update(found)
        rules.extend([text] if found else [])
        taken = {file for by_class in found.values() for _, file in by_class}
        for name in [key for key, file in left.items() if file in taken]:
            del left[name]

    take({p: p for p in photos if p in left}, "the names of the photos")
    take(*_decorated(free(), photos, left))
    of_classes({"a folder per class": _class_folder, "a folder per photo": _per_photo})
    if not parts:
        take(*_by_name(free(), photos, left, masks))
        of_classes({"a mask per class, as ID_CLASS": _split_names})
    if not parts:
        take(*_common_suffix(free(), photos, left))
    return Pairs(whole, parts, " or ".join(rules), tuple(left.values()))


def _decorated(free: Sequence[str], photos: Sequence[str], masks: Mapping[str, Path]):
    """Pairs whose names differ only by words, and how.

    A mask is of the photo that needs the fewest words taken from its name. Where it
    may be of two, it is of neither, unless the other one has a mask of its own and
    this one bears the whole name; a photo that two masks may be of has none.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        for name in set().union(*cores(photo, PHOTO_WORDS)):
            owners[name].add(photo)
    of_mask, names = {}, {}
    for mask in masks:
        levels = cores(mask, MASK_WORDS)
        names[mask] = set().union(*levels)
        near = ({p for n in level for p in owners.get(n, ())} for level in levels)
        of_mask[mask] = next(filter(None, near), set())
    claims: dict[str, list[str]] = defaultdict(list)
    for mask, near in of_mask.items():
        if len(near) == 1:
            claims[min(near)].append(mask)
    served = set(claims)
    for mask, near in of_mask.items():
        rest = near - served
        if len(rest) == 1 < len(near) and min(rest).lower() in names[mask]:
            claims[min(rest)].append(mask)
    found = {p: claims[p][0] for p in free if len(claims.get(p, ())) == 1}
    return found, _example(found)


def _by_name(free, photos, left: Mapping[str, Path], masks: Mapping[str, Path]):
    """Pairs of the same file name, which must be the only ones of that name.

    The folders of one must be among those of the other: of photos in dog/ the masks
    are not in cat/. A folder that is called as a photo is one of masks per photo.
    """
    by_stem, there = _unique((k.rpartition("/")[2], k) for k in masks), set(photos)
    stems = Counter(p.rpartition("/")[2] for p in photos)
    found = {
        p: by_stem[stem]
        for p in free
        if stems[stem := p.rpartition("/")[2]] == 1
        and by_stem.get(stem) in left
        and not {*by_stem[stem].split("/")[:-1]}.intersection(there)
        and (_within(p, by_stem[stem]) or _within(by_stem[stem], p))
    }
    return found, "the names of the photos in other folders"


def _within(short: str, long: str) -> bool:
    """Whether a path is another one without some of its folders."""
    rest = iter(long.lower().split("/"))
    return all(part in rest for part in short.lower().split("/"))


def _common_suffix(free, photos: Sequence[str], masks: Mapping[str, Path]):
    """Pairs by the suffix that most of the masks have behind the name of a photo.

    None where two suffixes are as common, as of a_1 and a_2 beside a alone.
    """
    there = set(photos)
    suffixes: Counter = Counter()
    for key in masks:
        suffixes.update({s for p, s in _split_names(key) if p in there})
    if not suffixes:
        return {}, ""
    (suffix, count), *others = suffixes.most_common(2)
    if 2 * count < min(len(masks), len(free)) or (others and others[0][1] == count):
        return {}, ""
    alike = Counter(core(p, PHOTO_WORDS) for p in free)
    found = {
        p: p + suffix
        for p in free
        if p + suffix in masks and alike[core(p, PHOTO_WORDS)] == 1
    }
    return found, _example(found)


def _per_class(photos: Sequence[str], masks: Mapping[str, Path], classes, forms):
    """Masks of single classes, and how their names tell the class.

    Args:
        photos: ids without a mask so far.
        masks: files that belong to no photo so far.
        classes: names that are known; without any, those of folders are taken.
        forms: words for each form, and what takes a path apart into (photo, class).
    """
    known = {form(c): c for form in (_spaced, str.lower) for c in classes}
    there = set(photos)
    results = []
    for text, form in forms.items():
        found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for key in sorted(masks):
            fits = set()
            for photo, name in form(key):
                name = name.strip("_-. ")
                listed = known.get(name.lower(), known.get(_spaced(name)))
                guessed = None if classes or form is _split_names else name
                if photo in there and (listed or guessed):
                    fits.add((photo, listed or guessed))
            if len(fits) == 1:
                ((photo, name),) = fits
                found[photo][name].add(key)
        # Two masks of one class of a photo: nobody says which counts.
        whole = {
            p: tuple((name, masks[min(keys)]) for name, keys in found[p].items())
            for p in photos
            if p in found and all(len(keys) == 1 for keys in found[p].values())
        }
        names = {name for parts in whole.values() for name, _ in parts}
        # A single folder may as well be one of all masks, whatever its name.
        if whole and (classes or len(names) > 1):
            results.append((whole, text))
    if not results or (len(results) > 1 and not classes):
        return {}, ""  # a folder may be a photo's or a class's
    return results[0]


def _spaced(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")


def _class_folder(key: str):
    """Every way to take one folder out of a path, as (path, folder)."""
    *folders, stem = key.split("/")
    for i, folder in enumerate(folders):
        yield "/".join((*folders[:i], *folders[i + 1 :], stem)), folder


def _per_photo(key: str):
    if "/" in key:
        yield tuple(key.rsplit("/", 1))


def _split_names(key: str):
    """Every way to take a name apart at a separator, as (before, rest)."""
    start = key.rfind("/") + 1
    for match in re.finditer(SEPARATOR, key[start:]):
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
