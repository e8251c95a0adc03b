"""Files of strangers: found, parsed, and their values checked.

Everything here either gives a value of the expected kind or raises UserError in one
line that names the file.
"""

import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from ppcjax.data_pipelines.images import first_line
from ppcjax.data_pipelines.regular import read_bytes
from ppcjax.data_pipelines.text import MOST_OF_ANNOTATIONS, read_text
from ppcjax.types import UserError

_DEEPEST = 100  # elements in each other; no tool goes beyond ten
_LONG = 2**24  # letters of a JSON text whose values are counted before
_MOST_BYTES = 2**33  # that they may take; a few times what the largest sets need
_LARGEST = 2**53  # integers that JSON numbers hold exactly
_KINDS = {list: "a list", dict: "an object", str: "a text"}


def files_below(root: Path, *endings: str) -> Iterator[Path]:
    """Files below a folder with one of the endings, sorted.

    Hidden files, leftovers and what eval.py exported into a folder below are left out.

    Args:
        root: where to look, at any depth.
        endings: such as ".json", in lower case.
    """
    from ppcjax.data_pipelines.sources.files import walk  # which stands above formats

    files = walk(root).files
    results = {file.parent for file in files if file.name == "provenance.json"}
    results -= {Path()}
    for file in files:
        if file.name.lower().endswith(endings) and not results & {*file.parents}:
            yield root / file


def parse_json(text: str, file: Path) -> Any:
    """The value of a JSON text; numbers that JSON does not have are refused."""
    try:
        if len(text) > _LONG and _bytes_of(text) > _MOST_BYTES:
            raise ValueError(f"its values take more than {_MOST_BYTES >> 30} GiB")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{file}: cannot be read as JSON ({first_line(error)}); export it again"
        ) from error


def _bytes_of(text: str) -> int:
    """About what the values of a JSON text take: numbers, lists and objects."""
    return 32 * text.count(",") + 72 * (text.count("[") + text.count("{"))


def _refuse_constant(name: str):
    raise ValueError(f"{name} is no number of JSON")


def parse_yaml(text: str, file: Path) -> Any:
    """Lists, tables and texts of a YAML text; see `yaml_text`."""
    # A dependency of the config library, which training does without.
    import yaml

    from ppcjax.data_pipelines.formats import yaml_text

    try:
        return yaml_text.parse(text)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise UserError(
            f"{file}: cannot be read as YAML ({first_line(error)}); mend it"
        ) from error


def load_json(file: Path) -> Any:
    """The value that a JSON file holds."""
    return parse_json(read_text(file, MOST_OF_ANNOTATIONS), file)


def load_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file; one with a DTD or entities of its own is refused."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(name, attributes):
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} elements in each other")
        builder.start(name, attributes)

    def end(name):
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_):
        raise ValueError("a DTD or entities, which no annotation needs")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(read_bytes(file), True)
        return builder.close()
    except (OSError, ValueError, LookupError, AssertionError, expat.ExpatError) as e:
        raise UserError(
            f"{file}: cannot be read as XML ({first_line(e)}); export it again"
        ) from e


def entry(table: Any, name: str, kind: type, where: str, default: Any = ...):
    """A value of a JSON object, which must have a kind.

    Args:
        table: the object.
        name: what the value is called.
        kind: list, dict or str; object for any.
        where: what the object is, for errors.
        default: what stands for a value that is missing or null; none: it is an error.
    """
    if not isinstance(table, dict):
        raise UserError(f"{where}: is not an object of names and values")
    value = table.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, kind):
        found = "is missing" if value is None else f"is not {_KINDS[kind]}"
        raise UserError(f"{where}: {name!r} {found}")
    return value


def number(value: Any, where: str) -> float:
    """A finite number, also of a text such as an XML attribute."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value)
        if not math.isfinite(found) or abs(found) > _LARGEST:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise UserError(f"{where}: {_short(value)} is not a usable number") from error
    return found


def integer(value: Any, where: str) -> int:
    """A whole number, also one written as 3.0 or as text."""
    found = number(value, where)
    if found != int(found):
        raise UserError(f"{where}: {_short(value)} is not a whole number")
    return int(found)


def size_of(table: Mapping[str, Any], height: str, width: str, where: str):
    """(rows, columns) that an object or element states; None where it states none."""
    values = [table.get(name) for name in (height, width)]
    if any(value in (None, "", 0, "0") for value in values):
        return None
    rows, columns = (integer(value, where) for value in values)
    if min(rows, columns) < 1 or rows * columns > 2**31:
        raise UserError(f"{where}: {columns}x{rows} is no size of a photo")
    return rows, columns


def points(values: Any, where: str) -> np.ndarray:
    """[N, 2] float64 of pairs [[x, y], ...] or of x, y, x, y, ..."""
    if isinstance(values, list) and values and isinstance(values[0], list):
        if any(not isinstance(pair, list) or len(pair) != 2 for pair in values):
            raise UserError(f"{where}: points are not pairs x, y")
        values = [v for pair in values for v in pair]
    if not isinstance(values, list) or len(values) % 2:
        raise UserError(f"{where}: points are not pairs x, y")
    return np.array([number(v, where) for v in values], np.float64).reshape(-1, 2)


def label(value: Any, where: str) -> str:
    """The name of a class, without blanks around it; numbers become text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not name or not name.isprintable():
        raise UserError(f"{where}: {_short(value)} is no name of a class")
    return name


def _short(value: Any) -> str:
    return ascii(value)[:40]
