"""Names of files without the words that say what lies in them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SEPARATOR = r"[_\-. ]+"
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


def core(key: str, words: Sequence[str]) -> str:
    """An id without such words before and behind its file name, in lower case."""
    folder, slash, stem = key.lower().rpartition("/")
    before, behind = map(re.compile, _ends(words))
    while True:
        first, last = before.match(stem), behind.search(stem)
        shorter = stem[first.end() if first else 0 : last.start() if last else None]
        if shorter == stem or not shorter:
            return folder + slash + stem
        stem = shorter


def _ends(words: Sequence[str]) -> tuple[str, str]:
    """Patterns of a word before and behind a name.

    Before a number a word of some length needs no separator, as in mask0 of image0.
    """
    any_of, long = "|".join(words), "|".join(w for w in words if len(w) > 2)
    return (
        rf"^(?:(?:{any_of}){SEPARATOR}|(?:{long})(?=\d))",
        rf"{SEPARATOR}(?:{any_of})$",
    )


def cores(key: str, words: Sequence[str]) -> list[set[str]]:
    """A name in lower case, then without one of the words, without two, and so on."""
    folder, slash, stem = key.lower().rpartition("/")
    ends = _ends(words)
    levels = [{stem}]
    while levels[-1]:
        shorter = {re.sub(end, "", name) for name in levels[-1] for end in ends}
        levels.append(shorter - levels[-1] - {""})
    return [{folder + slash + name for name in level} for level in levels[:-1]]


def beside(photos: Mapping[str, Path], masked: Iterable[str] = ()) -> dict[str, Path]:
    """Files among photos that are masks of others, by name: a_mask.png beside a.jpg.

    A file that lies beside one of its own kind, as a_mask.jpg beside a.jpg, is one
    only where half of the photos have such a file. Where most files of such names have
    a photo, the others are masks, too.

    Args:
        photos: files by their path without suffix.
        masked: ids of photos that have a mask elsewhere, and so are none themselves.
    """
    firsts: dict[str, Path] = {}
    for key, file in photos.items():
        firsts.setdefault(core(key, PHOTO_WORDS), file)
    named = {
        key: plain
        for key in photos.keys() - set(masked)
        if (plain := core(key, SURE_WORDS)) != key.lower()
    }
    of = {
        key: next(
            (firsts[n] for n in (plain, core(plain, PHOTO_WORDS)) if n in firsts), None
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
