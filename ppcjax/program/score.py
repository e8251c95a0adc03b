"""Compares two folders of masks: mean IoU, per class, and along boundaries.

    ppcjax score PRED TRUTH [--OPTION=VALUE ...]

PRED and TRUTH are folders of masks: an export, the layout of PASCAL VOC, plain PNG,
TIFF, BMP, GIF or NPY files at any depth, or the files of an annotation tool. Masks of
one photo are told by their names. 255 is void. docs/python.md has the formulas.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from ppcjax import checkout, cli, fields
from ppcjax.console.loops import show_progress
from ppcjax.errors import UserError
from ppcjax.evaluate.scoring.comparing import Comparing, open_pair
from ppcjax.evaluate.scoring.result import Scores
from ppcjax.evaluate.scoring.scoring import compare
from ppcjax.fields import options
from ppcjax.runs import single
from ppcjax.runs.checked import read_json
from ppcjax.runs.files import check_writable, json_bytes
from ppcjax.runs.ours import Folder, Kind
from ppcjax.runs.there import names_in

_USAGE = f"{checkout.program('score')} PRED TRUTH [--OPTION=VALUE ...]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is compared how, and where the figures go.

    json: file that gets all figures; empty: none.
    out: folder that gets metrics.json, and photos.csv with the IoU of each photo;
        empty: none.
    """

    comparing: Comparing = Comparing()
    json: str = ""
    out: str = ""


def _is_ours(file: Path) -> bool:
    """Whether a file holds the figures of `Scores`, all of them."""
    figures = {field.name for field in dataclasses.fields(Scores)} - {"by_photo"}
    return figures <= read_json(file).keys()


_METRICS, _TABLE = "metrics.json", "photos.csv"


def _is_earlier(folder: Path) -> bool:
    """Whether an earlier version, which kept no list, wrote the folder."""
    try:
        return set(names_in(folder)) <= _FILES and _is_ours(folder / _METRICS)
    except UserError:
        return False


_FILES = frozenset({_METRICS, _TABLE})
SCORES = Kind("scores", "folder of scores", _FILES, _is_earlier)


def main(argv: list[str]) -> None:
    """Compares the folders that the arguments name.

    Raises:
        UserError: an option is foreign, masks cannot be read or do not fit, or the
            figures would be written over something else.
    """
    if cli.HELP & set(argv):
        print(help_text())
        return
    folders, given = parse(cli.underscored(argv))
    how = fields.build(
        Comparing,
        {name: given[name] for name in fields.fields_of(Comparing) if name in given},
        where="options",
        what="score",
    )
    file = Path(given["json"]).expanduser() if given.get("json") else None
    out = Folder(given["out"], SCORES) if given.get("out") else None
    if file:
        single.check_file(file, _is_ours)
        check_writable(file)
    if out:
        check_writable(out.path / _METRICS)
    opened = open_pair(*folders, how)
    print("\n".join(opened.lines))
    for line in opened.warnings:
        _warn(line)
    found = compare(
        opened, how, lambda pairs, n: show_progress(pairs, n, "compared", unit="photos")
    )
    for line in found.warnings[len(opened.warnings) :]:
        _warn(line)
    print(f"\n{found.as_text()}")
    _write(found, file, out)


def parse(argv: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The two folders, and the values of the options that were given.

    Raises:
        UserError: an option is foreign, or its value is not allowed.
    """
    known = fields.fields_of(Options)
    # Which class names are meant may stand in a file.
    given = options.read(argv, known, what="score", further=("classes",))
    if len(given.words) != 2:
        raise UserError(
            f"score compares two folders, and {len(given.words)} are given; usage: "
            f"{_USAGE}"
        )
    names = {name: _classes(text) for name, text in given.texts.items()}
    return given.words, given.values | names


def _classes(text: str) -> tuple[str, ...] | str:
    """A file of class names, or names separated by commas."""
    file = Path(text).expanduser()
    if "," not in text and (file.suffix or file.exists()):
        return text
    return tuple(name.strip() for name in text.split(","))


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def _write(found: Scores, file: Path | None, out: Folder | None) -> None:
    content = json_bytes(found.as_json())
    if file:
        single.write_own(file, content, _is_ours)
        print(f"written: {file}")
    if out:
        with out:
            out.write(_TABLE, found.as_csv().encode())
            print(f"written: {out.write(_METRICS, content)}")


def help_text() -> str:
    """What --help says: the options with their values."""
    lines = [checkout.as_typed(__doc__.strip()), ""]
    return "\n".join([*lines, *options.as_help(fields.fields_of(Options))])
