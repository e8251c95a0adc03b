"""The classes of a folder: their names, ids and colours."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcjax.data_pipelines import formats
from ppcjax.data_pipelines.formats import Annotations
from ppcjax.data_pipelines.masks import MaskFile
from ppcjax.data_pipelines.masks.colours import Colour
from ppcjax.data_pipelines.sources import class_lists, tagging, words
from ppcjax.data_pipelines.sources.base import BACKGROUND
from ppcjax.data_pipelines.sources.class_lists import ClassList
from ppcjax.data_pipelines.sources.contents import Contents
from ppcjax.data_pipelines.sources.pairing import Pairs
from ppcjax.data_pipelines.sources.tagging import Tags
from ppcjax.data_pipelines.sources.voc import CLASSES as VOC_CLASSES
from ppcjax.types import IGNORE, UserError

_VOC_MASKS = ("segmentationclass", "segmentationclassaug")
_ADVICE = (
    "write tags.csv (image,tags), or put the photos into one sub-folder per tag; where "
    "there are masks, write classes.txt with the names of ids 1, 2, ... one a line"
)


class Names(NamedTuple):
    """Classes, and tags by photo.

    classes: names by class id, "background" first where there is one.
    text: where they come from.
    tags: names of the classes of each photo that has tags; None where there are none.
    tag_text: where the tags come from and how they are written.
    where: file or folder of the tags, for messages.
    label_ids: id in the masks of each class; empty: 0..C-1.
    void: ids in the masks that mean unknown, besides 255.
    colours: colour of each class in the masks; empty where nobody says.
    by_colour: whether the class list gives colours and no ids.
    void_colours: colours in the masks that mean unknown.
    warnings: what was guessed, one line each.
    """

    classes: tuple[str, ...]
    text: str
    tags: dict[str, tuple[str, ...]] | None
    tag_text: str
    where: str = ""
    label_ids: tuple[int, ...] = ()
    void: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()
    by_colour: bool = False
    void_colours: tuple[Colour, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def without_background(self) -> tuple[str, ...]:
        """Names but for that of a background."""
        return self.classes[self.classes[:1] == (BACKGROUND,) :]


def find(
    root: Path,
    there: Contents,
    *,
    given: tuple[str, ...] | str,
    trained: tuple[str, ...],
    background: bool,
    needed: bool,
) -> Names:
    """The classes of a folder and its tags.

    Args:
        root: the folder.
        there: what lies in it.
        given: config.data.classes: names, or a file.
        trained: names that a checkpoint was trained with; empty for none.
        background: whether there is a background besides.
        needed: whether tags or names must be there.

    Raises:
        UserError: tags or class names are missing, malformed or contradict each other.
    """
    listed = _as_trained(trained, _listed(given, there, background))
    known = trained or (listed.names if listed else ())
    tagged = tagging.find(root, there, tuple(n for n in known if n != BACKGROUND))
    if known and not background:
        names, text = known, listed.text if listed else "the checkpoint"
    else:
        names, text = _names(there, tagged, known, listed)
    if len(set(names)) < len(names) or (background and BACKGROUND in names):
        raise UserError(
            f"{root}: class names must be distinct and none may be {BACKGROUND!r}; "
            f"they are {', '.join(names)}"
        )
    if len(names) > class_lists.MOST:
        raise UserError(
            f"{root}: has {len(names)} classes; at most {class_lists.MOST} beside the "
            "background can be told apart in masks of 8 bits, where 255 means unknown; "
            "merge or leave out some in classes.txt"
        )
    if not names and needed and not there.masks:
        unread = formats.unread(root)
        raise UserError(f"{root}: has neither tags nor classes.txt{unread}; {_ADVICE}")
    listed = listed or ClassList(())
    return Names(
        classes=(BACKGROUND, *names) if background else tuple(names),
        text=text,
        tags=tagged.by_photo,
        tag_text=tagged.text,
        where=tagged.where,
        label_ids=listed.label_ids,
        void=listed.void,
        colours=listed.colours,
        by_colour=listed.by_colour,
        void_colours=listed.void_colours,
        warnings=(*listed.warnings, *tagged.warnings),
    )


def with_mask_names(names: Names, pairs: Pairs, root: Path, *, needed: bool) -> Names:
    """The same, with the names that masks of single classes give where no other does.

    Raises:
        UserError: there are still none.
    """
    if names.without_background:
        return names
    found = sorted({name for parts in pairs.parts.values() for name, _ in parts})
    if found:
        warning = f"class names are those of the masks: {', '.join(found)}"
        return names._replace(
            classes=(*names.classes, *found),
            text="the names of the masks",
            warnings=(*names.warnings, warning),
        )
    if needed:
        raise UserError(
            f"{root}: has masks, but neither tags nor classes.txt say which classes "
            "they show; write classes.txt with the names of ids 1, 2, ... one a line"
        )
    return names


def _listed(given, there: Contents, background: bool) -> ClassList | None:
    """The class list of the config, else that of the folder."""
    if isinstance(given, str) and given:
        file = Path(given).expanduser()
        if not file.is_file():
            raise UserError(
                f"config.data.classes={file}: no such file; write it, or names"
            )
        return class_lists.read(file, background=background)
    if given and not isinstance(given, str):
        names = tuple(n for n in given if not (background and words.is_background(n)))
        own = there.class_list
        if own is not None and own.names == names:
            return own._replace(text=f"config.data.classes, as {own.text}")
        return ClassList(names, text="config.data.classes")
    return there.class_list


def _as_trained(trained: tuple[str, ...], listed: ClassList | None) -> ClassList | None:
    """A class list with the names of a checkpoint, in its order.

    A list of colours alone gives no ids, so that its order is free.

    Raises:
        UserError: it lists other classes, or ids in another order.
    """
    if not trained or listed is None:
        return listed
    own, wanted = map(_alike, (listed.names, trained))
    if own == wanted:
        return listed._replace(names=trained)
    if listed.by_colour and sorted(own) == sorted(wanted):
        before = listed.colours[: len(listed.colours) - len(own)]
        by_name = dict(zip(own, listed.colours[len(before) :], strict=True))
        colours = (*before, *(by_name[name] for name in wanted))
        return listed._replace(names=trained, colours=colours)
    where = listed.file if listed.file != Path() else "config.data.classes"
    raise UserError(
        f"{where}: has the classes {', '.join(listed.names)}, but the checkpoint was "
        f"trained with {', '.join(trained)}; give the ids and names of the checkpoint"
    )


def _alike(names: Sequence[str]) -> list[str]:
    return [words.same(name) for name in names]


def _names(
    there: Contents, tagged: Tags, known: Sequence[str], listed: ClassList | None
) -> tuple[tuple[str, ...], str]:
    """Names without background, and where they come from."""
    if known:
        return tuple(known), listed.text if listed else "the checkpoint"
    if there.annotations is not None and there.annotations.classes:
        return there.annotations.classes, there.annotations.text
    used = {name for names in (tagged.by_photo or {}).values() for name in names}
    used -= {BACKGROUND}
    tops = {p.name.lower() for f in there.masks.values() for p in f.parents}
    if used and used <= set(VOC_CLASSES) and tops.intersection(_VOC_MASKS):
        return VOC_CLASSES[1:], "VOC's, as the tags are and the masks lie as there"
    in_order = tuple(sorted(used, key=lambda name: (words.same(name), name)))
    return in_order, "the tags, sorted" if used else ""


def drawn_in_order(found: Annotations, names: Names) -> dict[str, MaskFile]:
    """Masks that annotations draw, with the ids of `names`.

    Raises:
        UserError: a class of the annotations is none of `names`.
    """
    own = (BACKGROUND, *found.classes)
    if own == names.classes:
        return dict(found.masks)
    spelt = {words.same(name): i for i, name in enumerate(names.classes)}
    unknown = [name for name in found.classes if words.same(name) not in spelt]
    if unknown:
        raise UserError(
            f"{found.text}: class {unknown[0]!r} is none of "
            f"{', '.join(names.without_background)}; add it to the class list, or "
            "remove the list"
        )
    table = np.full(IGNORE + 1, IGNORE, np.int32)
    table[: len(own)] = [0, *(spelt[words.same(n)] for n in found.classes)]
    return {key: partial(_renumbered, draw, table) for key, draw in found.masks.items()}


def _renumbered(draw, table: np.ndarray) -> np.ndarray:
    return table[draw()]
