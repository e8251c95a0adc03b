"""Anyone's photographs: a folder with tags, and masks where there are any.

ROOT/[images/] a.jpg b.png ...                   photographs, at any depth
ROOT/tags.csv                                    image,tags ("a.jpg,dog person")
or one sub-folder per tag: dog/a.jpg cat/b.jpg   instead of the table
ROOT/masks/a.png                                 optional; 0 background, i = class i
ROOT/classes.txt                                 optional; one class a line
ROOT/splits/NAME.txt                             optional; ids of the split NAME

`layouts` knows other places and names, `pairing` other names of masks, `class_lists`
and `tables` other forms of the texts, `formats` annotations of other tools. What was
found is in the source's `reading`.

Masks may also lie in SegmentationClassAug or SegmentationClass. Then, where the tags
are VOC's and there is no class list, ids are taken to be in VOC's order.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines import images
from ppcjax.data_pipelines.masks import MaskFile, Masks, open_masks
from ppcjax.data_pipelines.settings import Folder, MaskIds, Share
from ppcjax.data_pipelines.sources import contents, files, naming, pairing, splits, tags
from ppcjax.data_pipelines.sources.base import (
    Files,
    Reading,
    Source,
    check_label_ids,
)
from ppcjax.data_pipelines.sources.contents import Contents
from ppcjax.data_pipelines.sources.naming import Names
from ppcjax.data_pipelines.sources.pairing import Pairs
from ppcjax.fields import kinds
from ppcjax.types import UserError

_ADVICE = (
    "give a folder of photographs with a table tags.csv (image,tags), or with one "
    "sub-folder per tag"
)
# Of so many photos at most the masks are read so that each class is held out alike;
# of more, chance does it.
_STRATIFIED = 2_000


def folder(
    split: str,
    tagged: bool = True,
    trained: tuple[str, ...] = (),
    lists: Path | None = None,
    *,
    root: Folder,
    classes: tuple[str, ...] | str = (),
    background: bool = True,
    label_ids: MaskIds = (),
    val_share: Share = 0.1,
    val_seed: kinds.Seed = 0,
    void: MaskIds = (),
) -> Source:
    """A split of a folder of photographs; the layout is in the module's docstring.

    Args:
        split: name of a split that lists, folders or annotations give; without any,
            "train" or "val", which is drawn. "all" is everything.
        tagged: whether a folder without tags and class names is refused; without
            them there is no class but the background.
        trained: names that a checkpoint was trained with, without background; empty =
            whatever the data has.
        lists: folder with the lists that a run keeps of the splits that it drew.
        root: the folder.
        classes: class names without background, or a text file with one a line; empty
            = the class list of the folder, else that of annotations, else the sorted
            tags. A first line "background" or "void" stands for id 0.
        background: whether class 0 is a background that the class list leaves out;
            False: the list begins with class 0, as for scenes that are all classes.
        label_ids: the id in the masks of each class, class 0 first; empty: 0..C-1.
            Ids that are neither here nor in `void` are refused.
        val_share: share of the photos, of those with a mask where there are any, that
            is held out as split "val" where the data gives no splits; see
            `splits.hold_out`.
        val_seed: number that decides which photos these are.
        void: mask ids that mean IGNORE, besides 255.
    """
    path = files.directory(root, _ADVICE)
    there = contents.read(path, split, background=background)
    if not there.photos:
        raise UserError(f"{path}: holds no image{contents.instead(there)}; {_ADVICE}")
    names = naming.find(
        path,
        there,
        given=classes,
        trained=tuple(trained),
        background=background,
        needed=tagged,
    )
    pairs = pairing.pair(tuple(there.photos), there.masks, names.without_background)
    names = naming.with_mask_names(names, pairs, path, needed=tagged)
    ids_of_file = tuple(label_ids) or names.label_ids
    check_label_ids(ids_of_file, names.classes, tuple(void))
    masks = _open_masks(there, pairs, names, (*void, *names.void), ids_of_file)
    read, notes = images.photo_reader(there.photos)
    opened = _Folder(
        there, names, pairs, masks, Files(there.photos, masks, len(names.classes), read)
    )
    chosen = opened.divide(path, split, val_share, val_seed, lists)
    ids = chosen.get(split, path)
    where = names.where or str(path)
    vectors, untagged = tags.encode_all(names.tags, ids, names.classes, where)
    return Source(
        f"{root} (split {split})",
        names.classes,
        ids,
        partial(opened.record, ids, vectors),
        untagged,
        reading=opened.reading(path, chosen, notes),
        tags_by="mask" if names.tags is None else "table",
        files=there.photos,
        masked=frozenset(key for key in there.photos if key in masks),
    )


class _Folder(NamedTuple):
    """A folder, opened."""

    there: Contents
    names: Names
    pairs: Pairs
    masks: Masks
    files: Files

    def record(self, ids, vectors, index: int):
        key, vector = ids[index], vectors[index]
        if self.names.tags is not None:
            return self.files.record(key, lambda: vector)
        return self.files.record(key, partial(self.files.mask_tags, key))

    def divide(self, path, asked, share, seed, lists) -> splits.Splits:
        there = self.there
        given = there.splits
        if there.annotations and not given:
            lone = there.annotations.lone if asked != splits.ALL else {}
            given = {name: ids for name, ids in lone.items() if name == asked}
            given = there.annotations.splits or given
        masked = [key for key in there.photos if key in self.masks]
        return splits.find(
            path,
            tuple(there.photos),
            given,
            share=share,
            seed=seed,
            shown=self._shown(masked),
            candidates=masked or tuple(there.photos),
            lists=lists,
            draw=asked != splits.ALL or self.names.tags is not None,
        )

    def _shown(self, masked) -> "Mapping[str, tuple[str, ...]]":
        """Names of the classes of each photo, read when they are asked for."""
        if self.names.tags is not None:
            return self.names.tags
        if len(masked) > _STRATIFIED:
            return {}
        return _Shown(self.files, self.names.classes, masked)

    def reading(self, path, chosen: splits.Splits, notes) -> Reading:
        there, names, pairs = self.there, self.names, self.pairs
        warnings = [*there.warnings, *names.warnings, *chosen.warnings, *notes]
        warnings += self.masks.warnings
        if pairs.alone:
            first = pairs.alone[0].relative_to(path)
            photo = next(iter(there.photos.values())).name
            warnings.append(
                f"{len(pairs.alone)} masks belong to no photo, such as {first}; a mask "
                f"of {photo} would be called {Path(photo).stem}.png"
            )
        where = there.mask_text
        if there.masks:
            example = next(iter(there.masks.values())).relative_to(path).as_posix()
            where = f"{where} with {example}"
        how = (where, pairs.text, self.masks.text)
        masks = ", ".join(filter(None, how)) if self.masks.ids else ""
        if there.annotations and there.annotations.masks and self.masks.ids:
            drawn = there.annotations.text
            if there.masks:
                warnings.append(f"masks are those of files; {drawn} is not drawn")
            else:
                masks = f"drawn from {drawn}"
        return Reading(
            photos=there.text,
            classes=names.text,
            tags=names.tag_text,
            masks=masks,
            splits={name: len(ids) for name, ids in chosen.ids.items()},
            members=chosen.ids,
            held_out=chosen.held_out,
            passed=dict(sorted(there.passed.items())),
            warnings=tuple(warnings),
        )


class _Shown(Mapping):
    """Classes of photos by their masks, each mask read when it is asked for."""

    def __init__(self, there: Files, classes: tuple[str, ...], masked):
        self._files, self._classes = there, classes
        self._masked = dict.fromkeys(masked)
        self._read: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, key: str) -> tuple[str, ...]:
        if key not in self._masked:
            raise KeyError(key)
        if key not in self._read:
            try:
                vector = self._files.mask_tags(key)
                ids = [] if vector is None else vector[1:].nonzero()[0] + 1
            except UserError:  # said when it is learnt from
                ids = []
            self._read[key] = tuple(self._classes[i] for i in ids)
        return self._read[key]

    def __iter__(self):
        return iter(self._masked)

    def __len__(self):
        return len(self._masked)


def _open_masks(there: Contents, pairs: Pairs, names: Names, void, label_ids) -> Masks:
    """The masks of files, else those that annotations draw."""
    found: dict[str, MaskFile] = dict(pairs.whole)
    for photo, parts in pairs.parts.items():
        ids = (names.classes.index(name) for name, _ in parts)
        found[photo] = tuple(zip(ids, (file for _, file in parts), strict=True))
    drawn = there.annotations.masks if there.annotations and not found else {}
    if drawn:
        found, label_ids, void = naming.drawn_in_order(there.annotations, names), (), ()
    in_order = {key: found[key] for key in there.photos if key in found}
    return open_masks(
        in_order,
        classes=names.classes,
        colours=names.colours,
        void=void,
        label_ids=label_ids,
        void_colours=names.void_colours,
        by_colour=names.by_colour,
    )
