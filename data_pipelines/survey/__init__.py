"""What was read: an account of a source, before anything is learnt from it.

words     names and numbers as text
counting  photos, tags and masks, counted
problems  what is wrong, by what a run needs
block     the account as lines for people
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ppcjax.data_pipelines.settings import as_dict
from ppcjax.data_pipelines.sources import CLASSES, splits
from ppcjax.data_pipelines.sources.base import Reading, Source
from ppcjax.data_pipelines.survey import block, problems
from ppcjax.data_pipelines.survey.counting import Counts, count
from ppcjax.data_pipelines.survey.problems import Facts, Needs, Problems
from ppcjax.data_pipelines.survey.words import printable
from ppcjax.types import UserError

__all__ = ["Needs", "Survey", "needs_of", "of_config", "survey"]


@dataclasses.dataclass(frozen=True)
class Survey:
    """An account of a source.

    source: name of the source and the split.
    classes: names by class id.
    photos: how many there are.
    counts: what they hold.
    damaged: id -> why a photo cannot be used.
    reading: how the source was read.
    problems: what is wrong.
    labels: whether tags and masks were looked at.
    """

    source: str
    classes: tuple[str, ...]
    photos: int
    counts: Counts
    damaged: Mapping[str, str]
    reading: Reading
    problems: Problems
    labels: bool = True

    def raise_first(self) -> None:
        """Raises UserError where the source leaves nothing to learn."""
        if self.problems.errors:
            raise UserError(printable(f"{self.source}: {self.problems.errors[0]}"))

    def lines(self) -> list[str]:
        """The account in a few lines of plain text."""
        return block.lines(self)

    def as_json(self) -> dict[str, Any]:
        """The account as JSON types: numbers, texts, the whole class list."""
        counts, reading = self.counts, self.reading
        pixels = counts.pixels
        whole = int(pixels.sum())
        classes = [
            {
                "name": name,
                "tagged": int(counts.tagged[c]),
                "shown": int(counts.shown[c]),
                "pixels": int(pixels[c]),
            }
            for c, name in enumerate(self.classes)
        ]
        return {
            "source": self.source,
            "photos": self.photos,
            "where": reading.photos,
            "sizes": {
                name: list(size) for name, size in block.sizes(counts.sizes).items()
            },
            "tags": {
                "text": reading.tags,
                "read": counts.tags_read,
                "photos": counts.with_tags,
            },
            "masks": {
                "text": reading.masks,
                "read": counts.masks_read,
                "photos": counts.masked,
                "pixels": whole,
                "void": int(pixels[-1]),
            },
            "classes_text": reading.classes,
            "classes": classes,
            "splits": {name: int(n) for name, n in reading.splits.items()},
            "held_out": list(reading.held_out),
            "passed": {name: int(n) for name, n in reading.passed.items()},
            "damaged": dict(self.damaged),
            "errors": list(self.problems.errors),
            "warnings": list(self.problems.warnings),
        }


def survey(
    source: Source,
    *,
    needs: Needs,
    own: bool = True,
    skip: bool = False,
    collect: bool = False,
) -> Survey:
    """Looks at a source as a whole.

    Args:
        source: photos, with tags and masks where there are some.
        needs: what a run needs of them.
        own: whether the class list is the user's own and of all photos that are learnt
            from, so that a class without a photo is a mistake.
        skip: whether the run leaves out photos that it cannot use.
        collect: whether photos that it cannot use are errors of the account; else the
            first one raises.

    Raises:
        UserError: a photo or a mask cannot be used, and neither `skip` nor `collect`.
    """
    labels = needs not in problems.NO_LABELS
    counts = count(source, labels=labels, skip=skip or collect)
    return Survey(
        source=source.name,
        classes=source.classes,
        photos=len(source),
        counts=counts,
        damaged={source.ids[i]: text for i, text in counts.damaged.items()},
        reading=source.reading,
        problems=problems.find(Facts(source, counts, skip, own), needs),
        labels=labels,
    )


def of_config(
    data: Any, source: Source, *, reads: str = "", collect: bool = False
) -> Survey:
    """The account of a source that config.data describes.

    Args:
        data: config.data.
        source: what make_source made of it.
        reads: what the method reads, where it is to learn from the source; "" where
            results are compared with it.
        collect: whether photos that cannot be used are errors of the account.

    Raises:
        UserError: a photo or a mask cannot be used, on_bad_image is "stop", and they
            are not collected.
    """
    given = as_dict(data)
    if reads:
        source = _with_overlaps(source, given)
    return survey(
        source,
        needs=needs_of(given, reads) if reads else "scores",
        own=given.get("source") not in CLASSES and not given.get("limit"),
        skip=given.get("on_bad_image") == "skip",
        collect=collect,
    )


def _with_overlaps(source: Source, data: Mapping[str, Any]) -> Source:
    """A source that says which photos are learnt from and evaluated, too."""
    learnt, said = set(source.ids), []
    others = dict.fromkeys((data.get("val_split"), data.get("eval_split")))
    for name in others:
        if name in (None, "", splits.ALL, data.get("train_split")):
            continue
        ids = splits.members(source.reading.members, name)
        both = [i for i in ids if i in learnt]
        if both:
            said.append(
                f"{len(both)} of the {len(ids)} photos of split {name} are learnt "
                f"from, too, as they are in split {data.get('train_split')}"
            )
    warnings = (*source.reading.warnings, *said)
    reading = dataclasses.replace(source.reading, warnings=warnings)
    return dataclasses.replace(source, reading=reading)


def needs_of(data: Mapping[str, Any], reads: str) -> Needs:
    """What training needs of its data.

    Args:
        data: config.data.
        reads: what the method reads, a key of READERS.
    """
    if reads == "dense":
        return "masks" if data.get("with_masks") else "tags"
    return reads
