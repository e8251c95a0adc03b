"""Masks of a folder of their own, in place of those of a source."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ppcjax.checkout import program
from ppcjax.data_pipelines.masks import (
    LOSSY_SUFFIXES,
    MASK_SUFFIXES,
    open_masks,
)
from ppcjax.data_pipelines.sources import class_lists, files, layouts, stems, words
from ppcjax.data_pipelines.sources.base import BACKGROUND, Source
from ppcjax.data_pipelines.sources.class_lists import ClassList
from ppcjax.types import UserError


def replace_masks(
    source: Source, folder: str, void: tuple[int, ...], *, setting: str = "masks"
) -> Source:
    """The same images with the masks of `folder` instead of their own.

    Args:
        source: gives all but the masks.
        folder: directory of masks, each named as its image, or what eval.py exported
            around one; an image without one has no mask. Where a class list lies with
            them, it must list the classes of the source.
        void: ids that mean IGNORE, besides 255.
        setting: the field of config.data, for messages.

    Raises:
        UserError: no such folder, no mask of these images, two of one, or masks of
            other classes.
    """
    root = Path(folder).expanduser()
    where = f"config.data.{setting}={folder}"
    if not root.is_dir():
        raise UserError(
            f"{where}: no such directory; export masks into it "
            f"with {program('eval')} --export, or leave the setting empty"
        )
    root = root / "masks" if (root / "masks").is_dir() else root
    listed = _check_class_list(root, source, setting)
    found = find(root)
    paired, text = match(source.ids, found)
    if source.ids and not paired:
        raise UserError(_none_fits(where, root, source, found))
    opened = open_masks(
        paired,
        classes=source.classes,
        void=(*void, *listed.void),
        beside=_alike(found, paired.values()),
        **listed.options,
    )

    def record(index):
        key = source.ids[index]
        return source.record(index)._replace(mask=partial(opened.get, key))

    reading = dataclasses.replace(
        source.reading,
        masks=f"{len(paired)} of {len(source)} images have one in {root}{text}; "
        f"{opened.text}",
        warnings=(*source.reading.warnings, *listed.warnings, *opened.warnings),
        mask_advice="",
    )
    # Tags are still those of the masks that are replaced.
    by = "file" if source.tags_by == "mask" else source.tags_by
    return dataclasses.replace(source, record=record, reading=reading, tags_by=by)


def find(root: Path) -> dict[str, Path]:
    """Files below a folder that may be masks, by id.

    Of two files of one id that without loss counts.

    Raises:
        UserError: two files of one id, neither of a kind that changes ids.
    """
    found: dict[str, Path] = {}
    for path in files.walk(root).files:
        suffix = path.suffix.lower()
        if suffix not in (*MASK_SUFFIXES, *LOSSY_SUFFIXES):
            continue
        key = files.normal(path.with_suffix("").as_posix())
        before = found.get(key)
        if before is None or before.suffix.lower() in LOSSY_SUFFIXES:
            found[key] = root / path
        elif suffix not in LOSSY_SUFFIXES:
            raise UserError(
                f"{root / path} and {before.name} are masks of one image; keep one"
            )
    return found


def match(ids: Sequence[str], found: Mapping[str, Path]) -> tuple[dict, str]:
    """Masks of the images, and what their names have in common if not all.

    Only where no name is that of an image do words such as "_mask" count, and may the
    folder of the split, in which all images lie, be missing. File names in other
    folders do not count: other images may be meant.

    Args:
        ids: images of a split.
        found: masks by id.
    """
    # Ids keep the form in which their source has them.
    same = {key: found[n] for key in ids if (n := files.normal(key)) in found}
    if same:
        return same, ""
    tops = {key.partition("/")[0] for key in ids if "/" in key}
    if len(tops) == 1 and layouts.is_split(top := tops.pop()):
        below = {k.removeprefix(f"{top}/"): k for k in ids}
        inside, text = match(tuple(below), found)
        if inside:
            text = text or f", without {top}/ in their names"
            return {below[key]: file for key, file in inside.items()}, text
    cores: dict[str, list[Path]] = {}
    for key, file in found.items():
        cores.setdefault(stems.core(key, stems.MASK_WORDS), []).append(file)
    wanted: dict[str, list[str]] = {}
    for key in ids:
        core = stems.core(files.normal(key), stems.PHOTO_WORDS)
        wanted.setdefault(core, []).append(key)
    alike = {
        keys[0]: cores[core][0]
        for core, keys in wanted.items()
        if len(keys) == 1 and len(cores.get(core, ())) == 1
    }
    example = next((f", as {file.name} of {key}" for key, file in alike.items()), "")
    return alike, example


def _alike(found: Mapping[str, Path], paired: Iterable[Path]) -> tuple[Path, ...]:
    """Files that seem to be masks of other images, as of another split.

    How the masks are read is decided over them, too, so that all splits of a folder
    are read alike. Files that are called after a mask ("p0_preview" beside "p0"), or
    in another way than the masks, are none.
    """
    own = set(paired)
    lossy = any(file.suffix.lower() in LOSSY_SUFFIXES for file in own)

    def is_worded(key: str) -> bool:
        return stems.core(key, stems.MASK_WORDS) != key.lower()

    forms = {is_worded(key) for key, file in found.items() if file in own}
    return tuple(
        file
        for key, file in found.items()
        if file not in own
        and is_worded(key) in forms
        and (lossy or file.suffix.lower() not in LOSSY_SUFFIXES)
        and not any(key[:end] in found for end in _separators(key))
    )


def _separators(key: str) -> Iterable[int]:
    """Where a file name may end and words behind it begin."""
    return (m.start() for m in re.finditer(r"[_\-. ]+", key) if m.start() > 0)


def _none_fits(where: str, root: Path, source: Source, found: Mapping) -> str:
    there = [str(file.relative_to(root)) for file in found.values()][:3]
    holds = f"there are {len(found)} others, such as {', '.join(there)}"
    return (
        f"{where}: none of the {len(source)} images has a mask there, such as "
        f"{root / source.ids[0]}.png; {holds if there else 'there is no mask at all'}; "
        "export the same split first, or rename them as the images"
    )


class Listed(NamedTuple):
    """What a class list beside masks says of them.

    options: arguments for `open_masks`.
    void: ids that mean IGNORE.
    warnings: what was guessed, one line each.
    """

    options: dict
    void: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


def _check_class_list(root: Path, source: Source, setting: str) -> Listed:
    """What the class list says; UserError where it is one of other classes."""
    background = source.classes[0] == BACKGROUND
    found = class_lists.find(root, background=background)
    beside = root.parent / "classes.txt"
    if found is None and beside.is_file():
        found = class_lists.read(beside, background=background)
    if found is None:
        return Listed({})
    wanted = [words.same(name) for name in source.classes[int(background) :]]
    names = [words.same(name) for name in found.names]
    alike = sorted if found.by_colour else list
    if alike(names) != alike(wanted):
        # The background as it stands there, so that what differs can be seen.
        first = (BACKGROUND,) if found.has_background else ()
        raise UserError(
            f"config.data.{setting}: the masks in {root} are of the classes "
            f"{', '.join((*first, *found.names))}, but {source.name} has "
            f"{', '.join(source.classes)}; export them from its own run"
        )
    said = found.warnings
    if background and not found.has_background and not found.label_ids:
        said = (*said, f"{found.file} names no background: id 0 is read as that")
    return Listed(_options(found, names, wanted), found.void, said)


def _options(found: ClassList, names: list[str], wanted: list[str]) -> dict:
    """Colours and ids of a list in the order of the classes."""
    options = {}
    order = [names.index(name) for name in wanted]
    for field in ("colours", "label_ids"):
        values = getattr(found, field)
        before = len(values) - len(names)
        if values and before >= 0:
            rest = values[before:]
            options[field] = (*values[:before], *(rest[i] for i in order))
    if "colours" in options:
        options["void_colours"] = found.void_colours
        options["by_colour"] = found.by_colour
    return options
