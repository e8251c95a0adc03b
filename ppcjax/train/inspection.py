"""What a config reads, shown without training: the account, and a contact sheet."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from ppcjax import data_pipelines
from ppcjax.console import screen
from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.sources.base import BACKGROUND, Source
from ppcjax.data_pipelines.sources.subset import evenly_spaced
from ppcjax.data_pipelines.survey.words import listing, printable
from ppcjax.report import contact
from ppcjax.runs import ours
from ppcjax.runs.files import check_writable, write_file
from ppcjax.runs.kinds import RUN
from ppcjax.train import ends, settings
from ppcjax.types import UserError

PHOTOS = 24  # of the sheet
_NO_TAGS = "no tags"  # below a photo of which others have some
PIXELS = 4 * contact.SIDE[0]  # longer side to which a photo may be decoded


def inspect(config: Any, workdir: str | Path) -> bool:
    """Prints what a config reads; writes WORKDIR/inspect/contact.png.

    Args:
        config: a ConfigDict.
        workdir: folder of the run.

    Returns:
        Whether it can be learnt from.

    Raises:
        UserError: the config is wrong, the training split cannot be opened, or
            something else than a run is in `workdir`.
    """
    reads = settings.reads_of(config.method)
    settings.check(config, reads)
    settings.check_method(config)
    workdir = Path(workdir).expanduser()
    ours.check(workdir, RUN)
    file = workdir / "inspect" / "contact.png"
    check_writable(file, "--workdir=DIR")
    data = config.data
    lists = ends.lists_of(workdir)
    source = data_pipelines.make_source(
        data, data.train_split, reads=reads, lists=lists
    )
    found = survey.of_config(data, source, reads=reads, collect=True)
    lines = found.lines()
    screen.result("\n".join(lines))
    others = (data.get("val_split", ""), data.get("eval_split", ""))
    for split in dict.fromkeys(filter(None, others)):
        if split != data.train_split:
            more = _account(data, split, reads, lists)
            screen.result("\n".join(line for line in more if line not in lines))
    ends.made(workdir)
    _write_sheet(file, source, labels=reads != "views")
    print(f"contact sheet: {file}")
    return not found.problems.errors


def _account(data: Any, split: str, reads: str, lists: Path | None) -> list[str]:
    """The account of a split that results are compared with."""
    try:
        source = data_pipelines.make_source(
            data, split, reads=reads, evaluation=True, lists=lists
        )
        own = reads if reads == "views" else ""
        return survey.of_config(data, source, reads=own, collect=True).lines()
    except UserError as error:
        return [f"data: split {split} cannot be read: {printable(str(error))}"]


def _write_sheet(file: Path, source: Source, *, labels: bool) -> None:
    chosen = evenly_spaced(range(len(source)), PHOTOS)
    shots = [shot for i in chosen if (shot := _shot(source, i, labels)) is not None]
    if all(shot.tags == _NO_TAGS for shot in shots):  # then the account says it once
        shots = [shot._replace(tags="") for shot in shots]
    title = f"{source.name}: {len(shots)} of {len(source):,} photos"
    background = source.classes[0] == BACKGROUND
    picture = contact.sheet(title, shots, source.classes, background=background)
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_file(file, content.getvalue())


def _shot(source: Source, index: int, labels: bool) -> contact.Shot | None:
    """A photo of the sheet; None where it cannot be read, which the account says."""
    try:
        record = source.record(index)
        photo = record.photo(PIXELS).pixels
        mask = record.mask() if labels else None
        tags = record.tags() if labels and index not in source.untagged else None
    except UserError:
        return None
    line = _names(source, tags) if labels else ""
    return contact.Shot(record.id, *contact.fit(photo, mask), line)


def _names(source: Source, tags: np.ndarray | None) -> str:
    """Tags in a line; the background where there is no other."""
    if tags is None:
        return _NO_TAGS
    first = int(source.classes[0] == BACKGROUND)
    names = [source.classes[c] for c in np.flatnonzero(tags) if c >= first]
    return listing(names) or BACKGROUND
