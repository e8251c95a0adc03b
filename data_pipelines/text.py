"""The one reader of text that people wrote: lists, tables, annotations."""

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.regular import MOST_AT_ONCE, read_bytes
from ppcjax.types import UserError

MOST = 2**27  # bytes of a list or a table: a million photos take a third of that
LONGEST_LINE = 2**20
MOST_OF_ANNOTATIONS = MOST_AT_ONCE  # those of whole sets are long

# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
# Files of other kinds that people take for text, by their first bytes.
_NO_TEXT = (
    (b"PK\x03\x04", "an archive or a spreadsheet; save it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old office document; save it as CSV in UTF-8"),
    (b"%PDF", "a PDF; save it as text in UTF-8"),
    (b"\x1f\x8b", "compressed; unpack it"),
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


class Text(NamedTuple):
    """A decoded file.

    text: without a byte-order mark, every end of a line a single line feed.
    encoding: "UTF-8", "UTF-16", "UTF-32" or "Windows-1252".
    """

    text: str
    encoding: str

    @property
    def guess(self) -> str:
        """A warning where the encoding is a guess; empty where it is not."""
        return (
            "is not UTF-8 and was read as Windows-1252; save it as UTF-8 if letters "
            "look wrong"
            if self.encoding == "Windows-1252"
            else ""
        )


def read_text(file: Path, most: int = MOST) -> str:
    """The text of a file, whatever program wrote it.

    Args:
        file: UTF-8, UTF-16 or UTF-32, with or without a byte-order mark, or
            Windows-1252.
        most: bytes that it may hold.

    Returns:
        The text with line feeds only; "" for an empty file.

    Raises:
        UserError: it is not there, is no text or too long.
    """
    return read(file, most).text


def read(file: Path, most: int = MOST) -> Text:
    """The text of a file and how it was encoded; see `read_text`."""
    try:
        if file.is_dir():
            raise UserError(f"{file}: is a folder, not a text file; move it")
        data = read_bytes(file, most)
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; write it") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is no path"
        raise UserError(f"{file}: cannot be read ({why}); mend the file") from error
    found = decode(data, str(file))
    if len(data) > LONGEST_LINE and most == MOST:  # annotations are often in one line
        if max(map(len, found.text.split("\n"))) > LONGEST_LINE:
            raise UserError(
                f"{file}: has a line of more than {LONGEST_LINE:,} letters, which no "
                "list or table needs; break it"
            )
    return found


def decode(data: bytes, name: str) -> Text:
    """Decodes the content of a text file.

    Args:
        data: the bytes.
        name: what to call the file in an error.

    Raises:
        UserError: it is no text, or text with damaged bytes.
    """
    for start, what in _NO_TEXT:
        if data.startswith(start):
            raise UserError(f"{name}: is no text but {what}")
    codec, encoding, body = _encoding(data)
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: is no text (as {encoding} it breaks off or is damaged at byte "
            f"{error.start}); save it as UTF-8"
        ) from error
    # Old editors end a file by Ctrl-Z.
    text = text.lstrip("\ufeff").removesuffix("\x1a")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = _CONTROL.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        raise UserError(
            f"{name}: is no text (line {line} holds the control character "
            f"{ord(control[0])}); save it as text in UTF-8"
        )
    return Text(text, encoding)


def _encoding(data: bytes) -> tuple[str, str, bytes]:
    """Codec, name of the encoding, and the bytes behind the mark."""
    for mark, codec, encoding in _MARKS:
        if data.startswith(mark):
            return codec, encoding, data[len(mark) :]
    even, odd = data[::2].count(0), data[1::2].count(0)
    if max(even, odd) * 4 >= len(data) / 2 and min(even, odd) == 0 and len(data) > 1:
        return ("utf-16-be" if even else "utf-16-le"), "UTF-16", data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # UTF-8 with a damaged byte would be readable as Windows-1252 too, with two
        # wrong letters in place of each letter that is not English.
        rest = data.decode("utf-8", errors="ignore")
        if rest.isascii():
            return "cp1252", "Windows-1252", data
    return "utf-8", "UTF-8", data
