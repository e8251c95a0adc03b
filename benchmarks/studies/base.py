"""What a study is: rows of a table, each a few commands that a reader can type."""

import string
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# What stands in braces in commands, and is an option of `benchmarks.study`.
PLACES = {
    "photos": "folder of the photos",
    "vit": "weights of the transformer",
    "mobilenet": "weights of MobileNetV2",
    "cache": "folder of features that are kept",
    "unlabelled": "folder of photos that are learnt from without labels",
}
OPTIONAL = {"cache"}
FOLDERS = {"photos", "unlabelled"}
# What the study itself fills in.
OWN = {"seed", "run", "out", "choice"}


class Row(NamedTuple):
    """A line of a table.

    Commands are words of train.py and eval.py. In braces stand a name of PLACES,
    `seed`, `run` (folder of this row's run), `out` (folder of what is evaluated last),
    `choice` (words of its grid) and names of other rows (folders of their runs with
    the same seed).

    label: what it is, for readers.
    evaluate: commands of which the last writes {out}/metrics.json.
    train: commands that make {run}; empty where nothing is trained.
    grid: words that are tried for {choice}, of which the best is kept for all seeds.
    judge: command that scores {run} for the grid, on photos that no row reports.
    like: row whose choice this one takes; "" where it has a grid, or none.
    """

    label: str
    evaluate: tuple[str, ...]
    train: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    judge: str = ""
    like: str = ""

    def names(self) -> set[str]:
        """What stands in braces in its commands."""
        commands = (*self.train, *self.evaluate, self.judge)
        return {name for command in commands for name in of(command)}


class Study(NamedTuple):
    """A table of rows over seeds.

    about: what it shows, in Markdown.
    rows: lines by their names.
    scores: headings by names of scores, the one that is drawn first.
    prepare: makes of the folder of photos, and an empty one, the folder that commands
        get.
    seeds: those that a whole table has.
    against: row that others are compared with, seed by seed; "" for none.
    """

    about: str
    rows: Mapping[str, Row]
    scores: Mapping[str, str]
    prepare: Callable[[Path, Path], Path] = lambda photos, folder: photos
    seeds: tuple[int, ...] = (0, 1, 2)
    against: str = ""

    def needed(self, name: str) -> Iterator[str]:
        """Rows whose runs a row uses, before those that use them."""
        for other in sorted(self.rows[name].names() & self.rows.keys()):
            yield from self.needed(other)
            yield other

    def places(self, name: str) -> set[str]:
        """Names of PLACES that a row's commands, and those of rows it uses, have."""
        rows = {*self.needed(name), name}
        rows |= {self.rows[row].like for row in rows} - {""}
        return {n for row in rows for n in self.rows[row].names()} & PLACES.keys()


def of(command: str) -> Iterator[str]:
    """Names in braces in a command."""
    for _, name, _, _ in string.Formatter().parse(command):
        if name:
            yield name
