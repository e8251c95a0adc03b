"""What is wrong with data, by what a run needs of it."""

import re

import numpy as np
import pytest

from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.sources.base import Reading
from ppcjax.data_pipelines.survey import counting
from ppcjax.types import IGNORE, UserError
from tests.data.toy_sources import good, mask_of, problems, source_of

COUNTS_OF_CLASSES = (1, 2, 5)


@pytest.mark.parametrize("needs", ["tags", "masks", "episodes", "views", "scores"])
@pytest.mark.parametrize("classes", COUNTS_OF_CLASSES)
def test_good_data_has_no_problems(needs, classes):
    assert problems(good(classes), needs, classes) == ((), ())


def without_masks(classes):
    return [(tags, None) for tags, _ in good(classes)]


def with_masks(*ids):
    return lambda classes: [(tags, mask_of(*ids)) for tags, _ in good(classes)]


def only_background(classes):
    return [((), mask_of(0, 0)) for _ in good(classes)]


def shifted(classes):
    """Masks whose ids are those of the next class of the list."""
    turn = {c: c % classes + 1 for c in range(1, classes + 1)}
    return [(t, mask_of(0, *(turn[c] for c in t))) for t, _ in good(classes)]


def without_last(classes):
    return [(t, m) for t, m in good(classes) if classes not in t]


def without_tags(classes):
    return [(None, mask) for _, mask in good(classes)]


def same_everywhere(classes):
    more = [(c,) for c in range(2, classes + 1)]
    return [((1, *t), mask_of(0, 1, *t)) for t in [(), *more]] * 2


ALL, MANY = COUNTS_OF_CLASSES, (2, 5)
WRONG = [
    (without_masks, ALL, "no.. of the . photos|none of the", "masks episodes", ""),
    (with_masks(0), ALL, "the tags name classes and no mask", *("masks", "tags")),
    (only_background, ALL, "show no class but the back", "episodes", "tags scores"),
    (with_masks(IGNORE), ALL, "all pixels of the .* are void", "masks", "tags scores"),
    (shifted, MANY, "the masks of .* show a class that their tags", "masks", "tags"),
    (without_last, MANY, "no photo is tagged c", "tags", ""),
    (without_last, MANY, "none of the .* masks shows c", "", "masks episodes scores"),
    (without_tags, ALL, "no photo has a tag", "tags", ""),
    (same_everywhere, MANY, "photos are tagged c1, so its maps", "", "tags"),
    (same_everywhere, (1,), "all . photos show the only class, c1", "", "tags"),
]


@pytest.mark.parametrize(("make", "counts", "words", "stops", "said"), WRONG)
def test_what_is_wrong_stops_who_learns_from_it(make, counts, words, stops, said):
    for classes in counts:
        for needs in ("tags", "masks", "episodes", "views", "scores"):
            found = problems(make(classes), needs, classes)
            for kind, lines in (("stops", found.errors), ("said", found.warnings)):
                wanted = {"stops": stops, "said": said}[kind].split()
                hits = [line for line in lines if _matches(words, line)]
                assert not any("\n" in line for line in lines)
                if needs in wanted:
                    assert len(hits) == 1, (needs, classes, found)
            if needs == "views":
                assert found == ((), ())


def _matches(words, line):
    return re.search(words, line) is not None


def test_errors_are_raised_with_the_name_of_the_source():
    read = survey.survey(source_of(with_masks(0)(2)), needs="masks")
    with pytest.raises(UserError, match=r"^toy \(split all\): the tags name classes"):
        read.raise_first()
    survey.survey(source_of(good(2)), needs="masks").raise_first()


@pytest.mark.parametrize(("wrong", "stops"), [(1, False), (3, False), (4, True)])
def test_tags_that_contradict_masks_stop_above_a_half(wrong, stops):
    photos = [((1,), mask_of(0, 2 if i < wrong else 1)) for i in range(6)]
    photos += [((2,), None)]
    found = problems(photos, "episodes", skip=True)
    words = f"of 6 photos the masks of {wrong} show a class that their tags do not"
    assert any(words in line for line in (found.errors if stops else found.warnings))
    assert bool(found.errors) == stops
    assert not problems(photos, "tags").errors  # which learn nothing from masks


def test_specks_do_not_stop(monkeypatch):
    monkeypatch.setattr(counting, "SPECK", 0.02)
    speck = np.ones((8, 10), np.int32)
    speck[0, 0] = 2
    found = problems([((1,), speck), ((2,), mask_of(0, 2))], "masks")
    assert not found.errors and "mend the tags" in found.warnings[0]
    found = problems([((1,), speck)] * 3 + [((2,), mask_of(0, 2))], "masks")
    assert not found.errors


def test_known_data_sets_may_be_subsets():
    found = problems(without_last(5), "tags", 5, own=False)
    assert not found.errors and "no photo is tagged c5" in found.warnings[0]
    data = {"source": "voc"}
    read = survey.of_config(data, source_of(without_last(5), 5), reads="dense")
    assert not read.problems.errors
    for given, count in (({"source": "folder"}, 1), ({"limit": 2}, 0)):
        read = survey.of_config(given, source_of(without_last(5), 5), reads="dense")
        assert len(read.problems.errors) == count


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ("masks", "1 of 9 photos have no mask to learn from, such as 'p7'"),
        ("episodes", "1 of 9 photos have no mask to learn from, such as 'p7'"),
        ("tags", "'p8' has no tags"),
    ],
)
def test_some_photos_lack_masks_or_tags(needs, words):
    photos = [*good(2), ((1,), None), (None, mask_of(0, 1))]
    for skip in (False, True):
        found = problems(photos, needs, skip=skip)
        (line,) = found.warnings if skip else found.errors
        assert words in line and (found.errors == ()) == skip
    assert problems(photos, "scores") == ((), ())


def test_reasons_that_a_source_knows_are_those_given():
    found = problems([((1,), None), (None, None)], "tags", 1, untagged={1: "mend p1"})
    assert found.errors == ("mend p1",)


def test_warnings_of_the_reading_come_first():
    reading = Reading(warnings=("guessed",))
    assert problems(good(2), "tags", reading=reading).warnings == ("guessed",)
