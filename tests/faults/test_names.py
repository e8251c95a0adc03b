"""Names of files and classes that hold what no terminal, table or page may get."""

import contextlib
import csv
import io
import json
import os
import re
import sys
import unicodedata

import numpy as np
import pytest

from ppcjax import cli, program
from ppcjax.console import plain, screen
from ppcjax.evaluate import predicting
from ppcjax.train.log import Log
from ppcjax.types import UserError
from tests.faults.held import Fault, all_held, drawn, sizes, some_break
from tests.program.toy import make_run, write_photo

PIECES = (
    *("\n", "\r", "\r\n", "\t", "\x07", "\x08", "\x7f", "\x85", "\x1b", "\x9b31m"),
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x07",
        "\x1bP+q\x1b\\",
        "\x1b[6n",
    ),
    *("\u202e", "\u2066", "\u200e", "\u2028", "\u2029", "\ufeff", "\u00ad", "\u200b"),
    *("\udcff", "\udc80\udcfe", "=1+1", "+x", "-rf", "--out", "@x", "＝1", "..", "..."),
    *(
        "'",
        '"',
        "`id`",
        "$(id)",
        "%0a",
        "%s",
        "{0}",
        "{{x}}",
        "[x]",
        "*",
        "?",
        "#",
        ";",
    ),
    *("<script>alert(1)</script>", "&amp;", "]]>", "\\", "\\n", " ", "  ", "CON", "~"),
    *("café", "日本　語", "👩\u200d👩", "ا", "x" * 60, "é" * 30, "|", ",", "a"),
)
# What steers a terminal, turns the order of letters, breaks a line or is no text.
RAW = {"Cc", "Cs", "Zl", "Zp"}
TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TEXTS = (".html", ".csv", ".json", ".jsonl", ".txt", ".xml", ".yaml", ".md")


def named(rng):
    count = int(rng.integers(1, 5))
    name = "".join(PIECES[i] for i in rng.integers(0, len(PIECES), count))
    if rng.random() < 0.1:
        name += "x" * 300
    limit = int(rng.integers(240, 251)) if rng.random() < 0.2 else 200
    while len(os.fsencode(name)) > limit:
        name = name[:-1]
    place = ("photo", "folder", "bad photo", "class", "given", "out")
    return Fault(ascii(name), (name or "a", place[int(rng.integers(len(place)))]))


def raw(text):
    """What is raw in a text of lines, with what stands around it."""
    for at, c in enumerate(text):
        if (unicodedata.category(c) in RAW and c not in "\n\t") or TURNS.match(c):
            return ascii(text[max(at - 40, 0) : at + 20])
    return ""


def check_files(folder):
    for file in folder.rglob("*"):
        if file.suffix in TEXTS and file.is_file():
            text = file.read_bytes().decode("utf-8").removeprefix("\ufeff")
            found = raw(text.replace("\r\n", "\n") if file.suffix == ".csv" else text)
            assert not found, f"{file.name}: {found}"
            assert file.suffix != ".html" or "<script>alert" not in text, file.name
    for table in folder.rglob("photos.csv"):
        rows = csv.reader(io.StringIO(table.read_text("utf-8-sig")))
        assert not [c for row in rows for c in row if c[:1] in tuple("=+-@\t\r＝")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")
    monkeypatch.setattr(predicting.opening, "open_any", lambda *_, **__: run)
    monkeypatch.setattr(program.cli, "keep_compiled_programs", lambda: None)
    return tmp_path


def called(*words):
    """Exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            program.main(*words)
            code = 0
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


def tried(place, monkeypatch):
    number = iter(range(10**6))

    def attempt(value):
        name, what = value
        here = place / str(next(number))
        safe = name.replace("/", "_")
        write_photo(here / "p/ok.png")
        monkeypatch.chdir(here)
        if what in ("photo", "bad photo"):
            os.rename(write_photo(here / "x.png"), here / "p" / f"{safe}.png"[-254:])
        if what == "bad photo":
            (here / "p" / f"{safe}.png"[-254:]).write_bytes(b"none")
        if what in ("folder", "class"):
            os.mkdir(os.path.join("p", f"d{safe}"))
            os.rename(write_photo(here / "x.png"), here / "p" / f"d{safe}" / "x.png")
        given = [name] if what == "given" else ["p"]
        out = f"o{safe}" if what == "out" else "o"
        asked = [("predict", "run", *given, f"--out={out}", "--format=coco,yolo,cvat")]
        asked += [("inspect", "p")] if what in ("class", "folder") else []
        asked += [("score", "p", *given, "--classes=background,a")]
        for words in asked:
            code, said, err = called(*words)
            assert not raw(said) and not raw(err), raw(said) or raw(err)
            assert "Traceback" not in err and err.count("error: ") <= 1, err
            assert code == 0 or "error: " in err or words[0] == "inspect", err
        check_files(here)

    return attempt


@sizes(quick=5, slow=60, long=400)
def test_names(count, place, monkeypatch, record_property):
    attempt = tried(place, monkeypatch)
    all_held("names", drawn(named, count), attempt, record_property)


def test_without_what_makes_text_plain_names_break(place, monkeypatch):
    monkeypatch.setattr(plain, "_shown", lambda c: c)
    fault = Fault("an escape", ("\x1b]0;x\x07", "bad photo"))
    some_break([fault], tried(place, monkeypatch), "what makes text plain")


def test_whatever_is_printed_is_plain(capsys):
    def prints():
        print("a\x1b[31mb\rc", "\udcff")
        print("d\x9be", file=sys.stderr)
        screen.line("f\ng\u202e")
        screen.result("h\ni\x07")
        raise UserError("j\x1bk\x08")

    with pytest.raises(SystemExit):
        cli.one_line(prints)
    said = capsys.readouterr()
    assert said.out == "a\\x1b[31mb\\rc \\udcff\nh\ni\\x07\n"
    assert said.err == "d\\x9be\nf\\ng\\u202e\nerror: j\\x1bk\\x08\n"


def test_the_log_of_a_run_is_plain(tmp_path, capsys):
    log = Log(tmp_path)
    log.line("a\n\x1b[1mb \udcff")
    log.close()
    text = (tmp_path / "log.txt").read_text()
    assert text.endswith(" a\\n\\x1b[1mb \\udcff\n") and text.count("\n") == 1


def test_printable_text_stays_as_it_is():
    for text in ("", "a b", "café 日本　語", "👩\u200d👩", "ا\u200cب", "<&>'\"\\n"):
        assert plain.line(text) == plain.lines(text) == text
    rng = np.random.default_rng(0)
    every = "".join(map(chr, rng.integers(0, 0x11_0000, 20_000)))
    assert not raw(plain.line(every)) and "\n" not in plain.line(every)
    assert json.dumps(plain.line(every)).isascii()


def test_a_class_has_a_name_of_printed_letters(tmp_path, monkeypatch):
    write_photo(tmp_path / "p/co\nw/a.png")
    write_photo(tmp_path / "p/dog/b.png")
    monkeypatch.chdir(tmp_path)
    code, _, err = called("inspect", "p")
    assert code == 1 and "co\\nw" in err and err.count("\n") == 1
