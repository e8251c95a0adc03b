"""The one reader of text that people wrote: lists, tables, annotations."""

from pathlib import Path

from ppcjax.types import UserError


def read_text(file: Path) -> str:
    """The text of a file, whatever program wrote it.

    Args:
        file: UTF-8 with or without a byte-order mark.

    Raises:
        UserError: it is not there, or is no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from error
