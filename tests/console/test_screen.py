"""Rows, lines and waits, without a terminal and as they would be drawn on one."""

import io
import sys
import threading

import pytest
from rich.cells import cell_len

from ppcjax.console import screen
from tests.console.terminal import on_terminal, plain


@pytest.mark.parametrize("name", ["training", "写真" * 9, "x" * 60])
@pytest.mark.parametrize("total", [None, 0, 7, 123_456])
@pytest.mark.parametrize("is_plain", [True, False])
def test_a_row_fits_into_any_width(name, total, is_plain):
    note = "12.3 images/s  ETA 0:03:12"
    for width in (1, 20, 40, 50, 79, 100, 200):
        text = screen.drawn(name, 5, total, note, 61.0, width=width, plain=is_plain)
        assert cell_len(text) <= width and "\n" not in text
        assert text.isascii() or not (is_plain and name.isascii())


def test_a_narrow_row_gives_up_its_bar_before_its_numbers():
    wide, narrow = (
        screen.drawn("training", 5, 10, "ETA 0:03:12", 0.0, width=width)
        for width in (79, 35)
    )
    assert "━━━" in wide and "━" not in narrow
    assert narrow == "training  5/10  ETA 0:03:12"


@pytest.mark.parametrize("width", [40, 50, 100])
def test_long_lines_break_between_words_below_their_values(width):
    words = [f"class{i:02d}" for i in range(40)]
    text = screen.wrapped("  classes     of the set: " + ", ".join(words), width)
    lines = text.split("\n")
    assert len(lines) > 2 and max(map(len, lines)) <= width
    assert {len(x) - len(x.lstrip()) for x in lines[1:]} == {14}
    assert [word for word in words if word in text] == words
    assert screen.wrapped("short", width) == "short"


def test_a_path_is_never_broken():
    path = "runs/" + "a" * 90
    assert path in screen.wrapped(f"error: cannot write {path} here", 40)


def test_two_threads_and_nested_rows_leave_whole_lines():
    program = """
import sys, threading, time
from ppcjax.console import screen, loops
def lines(name):
    for i in range(30):
        screen.line(f"<{name} line {i}>")
with screen.Row("outer", 3) as outer:
    for i in range(3):
        threads = [threading.Thread(target=lines, args=(n,)) for n in "ab"]
        [t.start() for t in threads]
        for _ in loops.show_progress(range(5), 5, f"inner {i}"):
            time.sleep(0.01)
        [t.join() for t in threads]
        print(f"<stdout {i}>")
        outer.show(i + 1)
"""
    code, text = on_terminal(program, columns=60)
    lines = [x.rstrip() for x in plain(text)]
    assert code == 0, text
    for name in "ab":
        assert lines.count(f"<{name} line 7>") == 3
    assert [x for x in lines if x.startswith("<stdout")] == [
        f"<stdout {i}>" for i in range(3)
    ]
    assert sum(x.startswith("inner 1: 5/5 images") for x in lines) == 1


def test_a_terminal_that_cannot_redraw_gets_lines():
    program = """
from ppcjax.console import screen
with screen.Row("never drawn", 3) as row:
    row.show(1)
screen.line("a line")
"""
    code, text = on_terminal(program, variable="TERM=dumb")
    assert code == 0 and text.replace("\r", "") == "a line\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_any_text_can_be_said_on_any_code_page(encoding, monkeypatch):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    screen.write_all()
    screen.line("Fuß 写真 🐕")
    assert raw.getvalue().startswith(b"Fu") and raw.getvalue().endswith(b"\n")


def test_a_wait_is_said_only_where_it_lasts(capsys):
    with screen.waiting("reading", after=5.0):
        pass
    assert capsys.readouterr().err == ""
    said = threading.Event()
    with screen.waiting("reading", "a note", after=0.01):
        said.wait(0.1)
    assert capsys.readouterr().err == "reading: a note\n"
    done = "took {:.0f} s".format
    with screen.waiting("reading", done=done, after=0.0):
        said.wait(0.02)
    assert capsys.readouterr().err.endswith("took 0 s\n")
    with pytest.raises(ValueError), screen.waiting("reading", done=done, after=0.0):
        raise ValueError
    assert "took" not in capsys.readouterr().err
