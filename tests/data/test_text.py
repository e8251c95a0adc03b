import codecs
import os

import numpy as np
import pytest

from ppcjax.data_pipelines import text
from ppcjax.data_pipelines.sources import files
from ppcjax.types import UserError

WORDS = "image,tags\nübung/a.jpg,Kühe grün\nb.jpg,Schaf\n"
ENCODINGS = {
    "utf-8": ("utf-8", b""),
    "utf-8 with mark": ("utf-8", codecs.BOM_UTF8),
    "utf-16 le": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-16 be": ("utf-16-be", codecs.BOM_UTF16_BE),
    "utf-16 le without mark": ("utf-16-le", b""),
    "utf-16 be without mark": ("utf-16-be", b""),
    "utf-32 le": ("utf-32-le", codecs.BOM_UTF32_LE),
    "utf-32 be": ("utf-32-be", codecs.BOM_UTF32_BE),
    "windows-1252": ("cp1252", b""),
}


def encoded(words, name):
    codec, mark = ENCODINGS[name]
    return mark + words.encode(codec)


def refuses(file, message):
    with pytest.raises(UserError) as caught:
        text.read_text(file)
    assert str(file) in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_and_end_of_line(tmp_path, name, end):
    file = tmp_path / "tags.csv"
    file.write_bytes(encoded(WORDS.replace("\n", end), name))
    assert text.read_text(file) == WORDS
    found = text.read(file)
    assert name.startswith(found.encoding.lower())
    assert bool(found.guess) == (name == "windows-1252")


@pytest.mark.parametrize("name", ENCODINGS)
def test_lists_of_splits_are_read_likewise(tmp_path, name):
    (tmp_path / "train.txt").write_bytes(encoded("ä.jpg\r\nb.jpg", name))
    assert files.read_list(tmp_path / "train.txt") == ["ä", "b"]


def test_empty_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    assert text.read_text(tmp_path / "a.txt") == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is no text"),
        (b"PK\x03\x04....", "a spreadsheet"),
        (b"a\0\0\0b", "is no text"),
        (b"cow\n\x01\n", "line 2 holds the control character 1"),
        ("grün und Kühe".encode()[:-8] + b"\xff", "is no text (as UTF-8"),
        ("grün".encode("utf-16") + b"\0", "is no text (as UTF-16"),
        (b"gr\x81n", "is no text (as Windows-1252"),
    ],
)
def test_what_is_no_text(tmp_path, data, message):
    (tmp_path / "a.txt").write_bytes(data)
    refuses(tmp_path / "a.txt", message)


def test_what_is_no_file(tmp_path):
    refuses(tmp_path, "is a folder")
    refuses(tmp_path / "none", "no such file")
    refuses(tmp_path / "x" / "none", "no such file")
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "a pipe, not a file")


def test_any_bytes_are_text_or_refused():
    rng = np.random.default_rng(0)
    for length in range(200):
        data = rng.integers(0, 256, length, np.uint8).tobytes()
        try:
            assert isinstance(text.decode(data, "a").text, str)
        except UserError as error:
            assert "\n" not in str(error)
