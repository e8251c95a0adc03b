"""Which photos are learnt from, and which are held out."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.console import plain
from ppcjax.data_pipelines.sources import files
from ppcjax.data_pipelines.text import read_text
from ppcjax.types import UserError

# Names of the same thing, the usual one first.
_SYNONYMS = (
    ("train", "training", "train_aug", "trainaug"),
    ("val", "valid", "validation", "dev"),
    ("test", "testing"),
)
ALL, TRAIN, VAL = "all", "train", "val"


class Splits(NamedTuple):
    """The splits of a folder.

    ids: ids of each split that there is, "all" last.
    held_out: ids of split "val" where they were drawn; empty where the data says which.
    text: where they come from, in a few words.
    warnings: what looks wrong, one line each.
    """

    ids: dict[str, tuple[str, ...]]
    held_out: tuple[str, ...] = ()
    text: str = ""
    warnings: tuple[str, ...] = ()

    def get(self, name: str, root: Path) -> tuple[str, ...]:
        """The ids of a split, whatever it is called; UserError where there is none."""
        found = called(self.ids, name)
        if found is None:
            there = ", ".join(self.ids)
            raise UserError(
                f"{root}: there is no split {name!r}; there are {there}; name one of "
                f"them, or write splits/{name}.txt"
            )
        if not self.ids[found]:
            raise UserError(
                f"{root}: split {name} is empty: {self.text}; add photos, raise "
                "config.data.val_share, or name another split"
            )
        return self.ids[found]


def members(ids: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The ids of a split, whatever it is called; () where there is none."""
    return ids.get(called(ids, name) or "", ())


def called(there: Collection[str], name: str) -> str | None:
    """Which of the splits a name means: itself, a synonym, or the only one with a year.

    None where there is none, or several ("train2014" and "train2017").
    """
    found = next((n for n in (name, *_same(name)) if n in there), None)
    alike = [n for n in there if n.lower() == name.lower()]
    alike = alike or [n for n in there if _same(n) and _same(n) == _same(name)]
    return found or (alike[0] if len(alike) == 1 else None)


def _same(name: str) -> tuple[str, ...]:
    """All usual names of a split; () for an unusual one."""
    plain = re.sub(r"[_-]?\d{2,4}$", "", name.lower())
    return next((group for group in _SYNONYMS if plain in group), ())


def find(
    root: Path,
    ids: Sequence[str],
    given: Mapping[str, Sequence[str]],
    *,
    share: float,
    seed: int,
    shown: Mapping[str, Iterable[str]],
    candidates: Iterable[str],
    lists: Path | None = None,
    draw: bool = True,
) -> Splits:
    """The splits of a folder: given ones, or "train" and "val" drawn.

    Args:
        root: the folder, for messages.
        ids: all photos.
        given: ids of the splits that folders or annotations name.
        share: share of the photos that is held out as "val" where nothing is given.
        seed: number that decides which.
        shown: classes of each photo, as far as they are known.
        candidates: photos that may be held out; those with a mask, where there are any.
        lists: folder with the lists that a run keeps; None or missing: there are none.
        draw: whether "train" and "val" are drawn where nothing is given, for which
            `shown` is read.
    """
    everything = {ALL: tuple(ids)}
    named = _lists(root, ids) or {k: tuple(v) for k, v in given.items()}
    whole = [k for k, v in named.items() if len(named) == 1 and set(v) == set(ids)]
    if named and not (whole and not _same(whole[0])):
        listed = {i for v in named.values() for i in v}
        rest = [i for i in ids if i not in listed]
        drawn = _rest(named, rest, share, seed, shown, candidates)
        text = "given by lists or folders"
        splits = named | drawn
        return Splits(
            splits | everything, tuple(drawn.get(VAL, ())), text, _overlaps(splits)
        )
    kept = _kept(lists, ids)
    if kept is not None:
        return kept._replace(ids=kept.ids | named | everything)
    if not draw:
        return Splits(named | everything)
    val = hold_out(ids, share=share, seed=seed, shown=shown, candidates=candidates)
    out = set(val)
    train = tuple(i for i in ids if i not in out)
    text = f"val is drawn, data.val_share={share:g}, data.val_seed={seed}"
    if not val:
        why = "as data.val_share is 0" if not share else "there are too few photos"
        text = f"nothing is held out, {why}"
    return Splits({TRAIN: train, VAL: val} | named | everything, val, text)


def _overlaps(named: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Photos that are learnt from and held out at once, one line for each pair."""
    kinds = {name: _same(name) for name in named if _same(name)}
    found = []
    for learnt in (name for name, kind in kinds.items() if kind[0] == TRAIN):
        for other in (name for name, kind in kinds.items() if kind[0] != TRAIN):
            both = sorted(set(named[learnt]) & set(named[other]))
            if both:
                found.append(
                    f"{len(both)} photos are in split {learnt} and in split {other}, "
                    f"such as {both[0]}: scores on it are of photos that were learnt"
                )
    return tuple(found)


def _rest(named, rest, share, seed, shown, candidates) -> dict[str, tuple[str, ...]]:
    """Splits of the photos that are in no list, where "train" or "val" is missing."""
    there = set(map(_same, named))
    missing = [name for name in (TRAIN, VAL) if _same(name) not in there]
    if not rest or not missing:
        return {}
    if len(missing) == 1:
        return {missing[0]: tuple(rest)}
    val = hold_out(rest, share=share, seed=seed, shown=shown, candidates=candidates)
    return {TRAIN: tuple(i for i in rest if i not in set(val)), VAL: val}


def hold_out(
    ids: Sequence[str],
    *,
    share: float,
    seed: int,
    shown: Mapping[str, Iterable[str]],
    candidates: Iterable[str],
) -> tuple[str, ...]:
    """A share of the photos, of each class as near as can be.

    Classes come in the order of their photos, the rarest first. Of each, photos are
    taken in the order of a hash of seed and id until its share is reached; at least one
    photo of every class stays. Then the whole share is filled up, at first with photos
    of classes that are below their share.

    Args:
        ids: photos.
        share: share that is held out; at least one photo, if any can be.
        seed: number that decides which.
        shown: classes of each photo, as far as they are known.
        candidates: photos that may be held out.

    Returns:
        Ids in the order of `ids`.
    """
    if not share:
        return ()
    may = set(candidates)
    order = sorted((i for i in ids if i in may), key=lambda i: _digest(seed, i))
    left: Counter = Counter(name for i in ids for name in set(shown.get(i, ())))
    quota = {name: round(share * count) for name, count in left.items()}
    most = {name: math.ceil(share * count) for name, count in left.items()}
    total = max(round(share * len(order)), 1)
    of_class: dict[str, list[str]] = {name: [] for name in left}
    for photo in order:
        for name in sorted(set(shown.get(photo, ()))):
            of_class[name].append(photo)
    taken: dict[str, None] = {}
    held: Counter = Counter()

    def take(photo: str) -> None:
        names = set(shown.get(photo, ()))
        if photo in taken or any(left[n] < 2 for n in names) or len(ids) < 2:
            return
        taken[photo] = None
        left.subtract(names)
        held.update(names)

    for name in sorted(quota, key=lambda n: (left[n], n)):
        for photo in of_class[name]:
            if held[name] < quota[name]:
                take(photo)
    for bounded in (True, False):
        for photo in order:
            full = any(held[n] >= most[n] for n in shown.get(photo, ()))
            if len(taken) < total and not (bounded and full):
                take(photo)
    return tuple(i for i in ids if i in taken)


def _digest(seed: int, key: str) -> bytes:
    return hashlib.sha256((f"{seed}:" if seed else "").encode() + key.encode()).digest()


def _lists(root: Path, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The lists of a folder; UserError where one names a photo that is not there."""
    found: dict[str, tuple[str, ...]] = {}
    there = set(ids)
    by_name: dict[str, list[str]] = {}
    for i in ids:
        by_name.setdefault(i.rpartition("/")[2], []).append(i)
    for file in files.all_lists(root):
        if file.stem in found:
            continue
        listed = []
        for name in files.read_list(file):
            place = name if name in there else _place(name, by_name)
            if place is None:
                raise UserError(f"{file}: no image {name!r} there; mend the list")
            listed.append(place)
        found[file.stem] = tuple(dict.fromkeys(listed))
    return found


def _place(name: str, by_name: Mapping[str, list[str]]) -> str | None:
    """The one photo that an entry of a list means; None where there is none."""
    near = by_name.get(name.rpartition("/")[2], ())
    fitting = [
        i for i in near if f"/{name}".endswith(f"/{i}") or f"/{i}".endswith(f"/{name}")
    ]
    return fitting[0] if len(fitting) == 1 else None


def _kept(lists: Path | None, ids: Sequence[str]) -> Splits | None:
    """The splits that a run drew when it began; None where it keeps none."""
    if lists is None or not (lists / f"{VAL}.txt").is_file():
        return None
    there = set(ids)
    # A name with a line feed stands there as it is shown.
    known = {plain.line(i): i for i in ids} | {i: i for i in ids}
    read = {
        name: [
            known.get(line, line)
            for line in read_text(lists / f"{name}.txt").split("\n")
            if line
        ]
        for name in (TRAIN, VAL)
    }
    gone = [i for name in read for i in read[name] if i not in there]
    if len(gone) == sum(map(len, read.values())):
        return None  # other photos
    warnings = []
    if gone:
        warnings.append(
            f"{len(gone)} photos that the run began with are gone, such as {gone[0]}"
        )
    new = there.difference(read[TRAIN], read[VAL])
    if new:
        warnings.append(
            f"{len(new)} photos are newer than the lists of the run ({lists}) and are "
            f"in neither split, such as {min(new)}"
        )
    kept = {name: tuple(i for i in read[name] if i in there) for name in read}
    text = f"the lists that the run keeps, {lists}"
    return Splits(kept, kept[VAL], text, tuple(warnings))
