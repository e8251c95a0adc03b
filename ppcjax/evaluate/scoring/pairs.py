"""Which mask of one folder is of the same photo as which of the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ppcjax.data_pipelines.sources import pairing, stems, words
from ppcjax.evaluate.scoring.folders import Found
from ppcjax.types import UserError


class Pairs(NamedTuple):
    """Masks by the photo that they are of.

    pred, truth: masks of the photos that both have; where each mask is of one class,
        several (name of the class, file).
    text: how they were told, in a few words.
    alone: masks of either that have no partner, one line each.
    """

    pred: dict[str, Any]
    truth: dict[str, Any]
    text: str
    alone: tuple[str, ...]


def pair(pred: Found, truth: Found, classes: Sequence[str]) -> Pairs:
    """Pairs of masks, by the rules by which masks belong to photos.

    The names of one side are taken for those of the photos, or those of photos beside
    it; whichever gives most pairs.

    Args:
        pred: folder of predicted masks.
        truth: folder of true masks.
        classes: names of the classes, without the background.

    Raises:
        UserError: no mask has a partner.
    """
    found = max(_attempts(pred, truth, classes), key=lambda pairs: len(pairs.pred))
    if not found.pred:
        raise UserError(
            f"{pred} and {truth} have no mask in common: PRED has "
            f"{next(iter(pred.masks))}, TRUTH {next(iter(truth.masks))}; name masks of "
            "one photo alike"
        )
    return found


def _attempts(pred: Found, truth: Found, classes: Sequence[str]) -> Iterator[Pairs]:
    """Pairs by what may be the names of the photos, the first of equals first."""
    known = {words.same(name) for name in classes}
    single = [_without_class(side.masks, known) for side in (truth, pred)]
    if all(single):
        # dog/a and cat/a are of one photo, on both sides.
        yield _attempt(single[0], pred, truth, classes)
        return
    yield _attempt(list(truth.masks), pred, truth, classes)
    if set(pred.masks) != set(truth.masks):
        yield _attempt(list(pred.masks), pred, truth, classes)
        for side in (truth, pred):
            if side.photos:
                yield _attempt(list(side.photos), pred, truth, classes)
        yield _by_plain_names(pred, truth)


def _by_plain_names(pred: Found, truth: Found) -> Pairs:
    """Pairs of names that differ by words such as _mask on either side, in any folder.

    A name that is there twice belongs to no one.
    """
    plain = [_unique(side.masks) for side in (pred, truth)]
    both = [name for name in plain[1] if name in plain[0]]
    pairs = [
        {name: side.masks[there[name]] for name in both}
        for side, there in zip((pred, truth), plain, strict=True)
    ]
    alone = [
        _alone(side, there) for side, there in zip((pred, truth), pairs, strict=True)
    ]
    text = "their names without words such as _mask"
    return Pairs(*pairs, text, tuple(filter(None, alone)))


def _unique(masks: Mapping[str, Any]) -> dict[str, str]:
    """File name without such words -> id, of those that are there once."""
    found: dict[str, list[str]] = {}
    for key in masks:
        name = key.rpartition("/")[2]
        name = stems.core(stems.core(name, stems.MASK_WORDS), stems.PHOTO_WORDS)
        found.setdefault(name, []).append(key)
    return {name: keys[0] for name, keys in found.items() if len(keys) == 1}


def _without_class(masks: Mapping[str, Any], known: set[str]) -> list[str]:
    """Ids without the folders that are called like classes; [] where one has none."""
    found = []
    for key in masks:
        *folders, name = key.split("/")
        rest = [folder for folder in folders if words.same(folder) not in known]
        if len(rest) == len(folders):
            return []
        found.append("/".join((*rest, name)))
    return list(dict.fromkeys(found))


def _attempt(photos, pred: Found, truth: Found, classes: Sequence[str]) -> Pairs:
    found = [pairing.pair(photos, side.masks, classes) for side in (pred, truth)]
    masks = [{**one.whole, **one.parts} for one in found]
    both = [photo for photo in photos if photo in masks[0] and photo in masks[1]]
    rules = dict.fromkeys(one.text for one in found if one.text)
    pairs = [{photo: side[photo] for photo in both} for side in masks]
    alone = [
        _alone(side, there) for side, there in zip((pred, truth), pairs, strict=True)
    ]
    return Pairs(*pairs, " or ".join(rules), tuple(filter(None, alone)))


def _alone(side: Found, pairs: Mapping[str, Any]) -> str:
    """What is said of the masks of a folder that have no partner; "" where all do."""
    used = set()
    for mask in pairs.values():
        used |= {id(f) for _, f in mask} if isinstance(mask, tuple) else {id(mask)}
    rest = [key for key, mask in side.masks.items() if id(mask) not in used]
    if not rest:
        return ""
    return (
        f"{len(rest):,} of {len(side.masks):,} masks of {side.role} have no partner, "
        f"such as {rest[0]}; they are not scored"
    )
