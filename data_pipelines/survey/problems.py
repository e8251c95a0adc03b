"""What is wrong with data, by what a run needs of it.

A rule looks at the counts of a source and says what is wrong in one line, or "".
Whether that stops the run or is only said stands in the table RULES.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from ppcjax.data_pipelines.images import why_left_out
from ppcjax.data_pipelines.sources.base import BACKGROUND, Source
from ppcjax.data_pipelines.survey.counting import Counts
from ppcjax.data_pipelines.survey.words import listing, many, share

# What a run needs of its data: tags, masks (and tags), masks of episodes, photos
# alone, or true masks to compare with.
Needs = Literal["tags", "masks", "episodes", "views", "scores"]
NO_LABELS = ("views",)

STOP, SAY, NOTHING = "error", "warning", ""


class Facts(NamedTuple):
    """What a rule looks at.

    source: photos.
    counts: what they hold.
    skip: whether photos that cannot be used are left out; else they stop a run.
    own: whether the class list is the user's own and of all photos that are learnt
        from; else it may name more than a part of a known data set shows.
    """

    source: Source
    counts: Counts
    skip: bool
    own: bool

    @property
    def first(self) -> int:
        """Id of the first class that is no background."""
        return int(self.source.classes[0] == BACKGROUND)

    def names(self, marked: Iterable[bool]) -> str:
        """The classes that are marked, the first of many."""
        pairs = zip(self.source.classes[self.first :], marked, strict=True)
        return listing([name for name, chosen in pairs if chosen], 6)

    @property
    def masks_text(self) -> str:
        """How many masks were read: "the 5 masks"."""
        whole = self.counts.masks_read == len(self.source)
        read = "" if whole else " that were read"
        return f"the {many(self.counts.masked, 'mask')}{read}"


class Problems(NamedTuple):
    """What is wrong with a source, one line each.

    errors: what leaves nothing, or the wrong things, to learn.
    warnings: what was guessed or looks wrong.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find(facts: Facts, needs: Needs) -> Problems:
    """All that is wrong with a source for a run that needs the given of it."""
    found: dict[str, list[str]] = {STOP: [], SAY: list(facts.source.reading.warnings)}
    for rule, levels in RULES:
        level = levels.get(needs, NOTHING)
        text = rule(facts) if level else ""
        if text:
            level = _level(rule, facts, level)
            found[level].append(text)
    return Problems(tuple(found[STOP]), tuple(found[SAY]))


def _level(rule: Callable, facts: Facts, level: str) -> str:
    """Whether a rule that found something stops the run after all."""
    lenient = {
        _damaged: facts.skip,
        _unnamed: not facts.own,
        _untagged: facts.skip,
        _some_unmasked: facts.skip,
        _contradiction: 2 * facts.counts.far <= facts.counts.both,
    }
    return SAY if lenient.get(rule, False) else level


def _found(facts: Facts, part: Literal["tags", "masks"]) -> str:
    """Where tags or masks were found and how they are read, in brackets."""
    text = facts.source.reading.tags if part == "tags" else facts.source.reading.masks
    return f" ({part}: {text})" if text else ""


def _none_usable(facts: Facts) -> str:
    reasons = list(facts.counts.damaged.values())
    if not reasons or len(reasons) < facts.counts.looked_at:
        return ""
    return f"none of the {len(reasons):,} photos can be used; {reasons[0]}"


def _damaged(facts: Facts) -> str:
    reasons = list(facts.counts.damaged.values())
    if not reasons:
        return ""
    left_out = " and are left out" if facts.skip else ""
    why = why_left_out(reasons[0]) if facts.skip else reasons[0]
    count = many(len(reasons), "photo")
    return f"{count} cannot be used{left_out}, such as {why}"


def _unmasked(facts: Facts) -> str:
    if facts.counts.masked or not facts.counts.masks_read:
        return ""
    passed = [
        f"{count:,} {what}" for what, count in facts.source.reading.passed.items()
    ]
    over = f" (passed over: {listing(passed, 6)})" if passed else ""
    advice = facts.source.reading.mask_advice or (
        "put masks into a folder masks beside the photos, named like them, or give "
        f"their folder in config.data.masks{_passed_over(facts)}"
    )
    return (
        f"none of the {facts.counts.masks_read:,} photos has a mask to learn from{over}"
        f"; {advice}"
    )


def _passed_over(facts: Facts) -> str:
    """Images that were not read and may be the masks, " (...)"."""
    passed = facts.source.reading.passed
    found = [f"{n} x {why}" for why, n in passed.items() if why.startswith("image in ")]
    return f" (passed over: {', '.join(found[:3])})" if found else ""


def _some_unmasked(facts: Facts) -> str:
    missing = facts.counts.masks_read - facts.counts.masked
    missing -= len(facts.counts.damaged)
    if not facts.counts.masked or missing <= 0:
        return ""
    example = facts.source.ids[facts.counts.unmasked]
    advice = facts.source.reading.mask_advice or "add masks"
    return (
        f"{missing:,} of {facts.counts.masks_read:,} photos have no mask to learn "
        f"from, such as {example!r}; {advice}, or leave such photos out with "
        "config.data.on_bad_image=skip"
    )


def _nothing_shown(facts: Facts) -> str:
    counts = facts.counts
    if not counts.masked or counts.shown[facts.first :].any():
        return ""
    if not counts.pixels[:-1].any():
        return (
            f"all pixels of {facts.masks_text} are void, so there is nothing to learn "
            "from them; write the id of its class at each pixel, and 255 only where it "
            f"is not known{_found(facts, 'masks')}"
        )
    named = counts.tagged[1:].any() and facts.source.tags_by != "mask"
    start = "the tags name classes and no mask shows one: " if named else ""
    pixels = share(counts.pixels[-1], counts.pixels.sum())
    void = f"; 255, {pixels} of the pixels, means unknown and is no class"
    void = void if counts.pixels[-1] else ""
    return (
        f"{start}{facts.masks_text} show no class but the background, so there is "
        "nothing to learn from them; at each pixel of the first class of the list "
        f"their value must be 1, of the second one 2, and so on{void}"
        f"{_found(facts, 'masks')}"
    )


def _contradiction(facts: Facts) -> str:
    counts = facts.counts
    if facts.source.tags_by == "mask" or not counts.beyond:
        return ""
    many = 2 * counts.far > counts.both
    wrong = counts.far if many else counts.beyond
    text = (
        f"of {counts.both:,} photos the masks of {wrong:,} show a class that their "
        f"tags do not name{_found(facts, 'tags')}; "
    )
    if not many:
        return text + "mend the tags or the masks"
    return text + (
        "the class list is probably in another order than the ids of the masks: write "
        "classes.txt in the order of the ids, or mend the tags"
    )


def _never_shown(facts: Facts) -> str:
    shown = facts.counts.shown[facts.first :]
    if not facts.counts.masked or not shown.any() or shown.all():
        return ""
    return f"none of {facts.masks_text} shows {facts.names(shown == 0)}"


def _untagged(facts: Facts) -> str:
    missing = facts.counts.untagged
    if not missing:
        return ""
    first = next(iter(missing.values()))
    if not facts.skip:
        return first.removeprefix(f"{facts.source.name}: ")
    count = many(len(missing), "photo")
    return f"{count} without tags left out, such as {first}"


def _no_tags(facts: Facts) -> str:
    if facts.counts.with_tags or not facts.counts.tags_read:
        return ""
    return (
        f"no photo has a tag to learn from{_found(facts, 'tags')}; write a table "
        "tags.csv (image,tags), or put the photos of each class into a folder of its "
        "own"
    )


def _unnamed(facts: Facts) -> str:
    tagged = facts.counts.tagged[facts.first :]
    if not facts.counts.with_tags or tagged.all():
        return ""
    part = facts.counts.tags_read < len(facts.source)
    read = f" of the {facts.counts.tags_read:,} whose tags were read" if part else ""
    return (
        f"no photo{read} is tagged {facts.names(tagged == 0)}"
        f"{_found(facts, 'tags')}, so there is nothing to learn for a class of the "
        "list; tag photos that show it, or take it out of the list"
    )


def _everywhere(facts: Facts) -> str:
    tagged, photos = facts.counts.tagged[facts.first :], facts.counts.with_tags
    always = (tagged == photos) & (photos > 1)
    if not always.any():
        return ""
    name = facts.names(always)
    if len(tagged) == 1:
        return (
            f"all {photos:,} photos show the only class, {name}, so its maps cannot be "
            f"learnt; add photos without it, tagged {BACKGROUND}"
        )
    return (
        f"all {photos:,} photos are tagged {name}, so its maps cannot be learnt; add "
        "photos that do not show it"
    )


_LEARN = dict.fromkeys(("tags", "masks", "episodes", "views"), STOP)
_LEARN_MASKS = {"masks": STOP, "episodes": STOP}
_ALL_MASKS = _LEARN_MASKS | {"tags": SAY, "scores": SAY}
RULES: tuple[tuple[Callable[[Facts], str], dict[str, str]], ...] = (
    (_none_usable, _LEARN),
    (_damaged, dict.fromkeys((*_LEARN, "scores"), STOP)),
    (_unmasked, _LEARN_MASKS),
    (_some_unmasked, _LEARN_MASKS),
    (_nothing_shown, _ALL_MASKS),
    (_contradiction, _ALL_MASKS),
    (_no_tags, {"tags": STOP}),
    (_untagged, {"tags": STOP}),
    (_unnamed, {"tags": STOP}),
    (_everywhere, {"tags": SAY}),
    (_never_shown, {"masks": SAY, "episodes": SAY, "scores": SAY}),
)
