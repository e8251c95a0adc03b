"""Lines that libraries write from C++ while there is a bar."""

import os

import pytest

from ppcjax.console import raw
from tests.console.terminal import on_terminal, plain

ALARM = "W0000 Constant folding an instruction is taking > 1s"
PROGRAM = f"""
import os, sys, time
from pathlib import Path
from ppcjax import cli
from ppcjax.console import raw, screen
from ppcjax.errors import UserError
def main():
    os.write(2, b"E0000 before there is a folder\\n")
    raw.keep_in(Path({{log!r}}))
    with screen.Row("training", 10) as row:
        for i in range(4):
            row.show(i)
            os.write(2, b"{ALARM}\\n")
            screen.line(f"line {{{{i}}}}")
            time.sleep(0.05)
    {{end}}
cli.one_line(main)
"""


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("raise UserError('a mistake')", 1, "error: a mistake"),
        pytest.param(
            "raise KeyboardInterrupt", 130, "stopped by Ctrl-C", marks=pytest.mark.slow
        ),
    ],
    ids=["mistake", "interrupt"],
)
def test_they_land_in_the_log_and_not_between_lines(tmp_path, end, code, words):
    log = tmp_path / "log.txt"
    found, text = on_terminal(PROGRAM.format(log=str(log), end=end))
    assert found == code
    assert "E0000" not in text and ALARM not in text
    shown = plain(text)
    assert [x for x in shown if x.startswith("line")] == [f"line {i}" for i in range(4)]
    assert words in shown
    assert log.read_text().splitlines() == [
        "E0000 before there is a folder",
        *[ALARM] * 4,
    ]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.write(2, b'F0000 Check failed'), os.abort()", "F0000 Check failed"),
        pytest.param("os.kill(os.getpid(), 9)", ALARM, marks=pytest.mark.slow),
        ("raise ValueError('a defect')", "ValueError: a defect"),
    ],
    ids=["abort", "kill", "defect"],
)
def test_a_crash_shows_them(tmp_path, end, words):
    code, text = on_terminal(PROGRAM.format(log=str(tmp_path / "log.txt"), end=end))
    assert code not in (0, None) and words in text
    assert "the last lines of the log:" in text and ALARM in text
    assert ("ended without a word" in text) == (code < 0)


def test_where_stderr_is_no_terminal_nothing_is_moved(tmp_path, capfd):
    with raw.aside():
        raw.keep_in(tmp_path / "log.txt")
        os.write(2, b"raw\n")
    assert capfd.readouterr().err == "raw\n" and not list(tmp_path.iterdir())
