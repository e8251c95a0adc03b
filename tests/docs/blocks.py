"""Pages, and what they tell people to type: commands, and snippets of Python."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# Folders and files of pages; what people write is found there without a line here.
PLACES = ("*.md", "docs/**/*.md", "examples/**/*.md")
COMMANDS = ("", "sh", "bash", "console", "shell")
PYTHON = ("python", "py", "pycon")
# Languages of what nobody types into a terminal.
OTHERS = ("text", "csv", "json", "toml", "yaml", "dockerfile", "bibtex", "ini", "html")
# What begins a command. "run" can be run here; "outside" needs what no test may have,
# a network, a cluster or a daemon, so that its options alone are looked at.
PROGRAMS = {
    "python": "run",
    "ppcjax": "run",
    "bash": "outside",
    "cd": "outside",
    "docker": "outside",
    "gcloud": "outside",
    "git": "outside",
    "hf": "outside",
    "make": "outside",
    "kubectl": "outside",
    "pip": "outside",
    "sbatch": "outside",
    "source": "outside",
    "srun": "outside",
    "uv": "outside",
}
# Programs of the checkout that prose names without "python" before them.
SCRIPTS = ("train.py", "eval.py")
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=")
_REDIRECTIONS = (">", ">>", "2>", "2>>", "&>")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *([\w+-]*)")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Block(NamedTuple):
    """A fenced block of a page.

    page: name below the root.
    line: number of its first line inside the fence, from 1.
    language: word behind the fence; "" where there is none.
    text: what stands inside.
    """

    page: str
    line: int
    language: str
    text: str


class Command(NamedTuple):
    """What a page tells people to type.

    page: name below the root.
    line: number of its first line, from 1.
    words: the command as a shell splits it, without what is set before it.
    environment: what is set before it.
    fenced: whether it stands in a block, to be typed, not in a sentence.
    """

    page: str
    line: int
    words: tuple[str, ...]
    environment: dict[str, str]
    fenced: bool

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def pages() -> list[str]:
    """Names of all pages below the root, README.md first."""
    found = sorted({p for place in PLACES for p in ROOT.glob(place)})
    names = [str(path.relative_to(ROOT)) for path in found]
    return sorted(names, key=lambda name: (name != "README.md", name))


def blocks_of(page: str, text: str | None = None) -> Iterator[Block]:
    """The fenced blocks of a page, in order.

    Args:
        page: name below the root.
        text: what it says; None: what the file holds.
    """
    lines = (text if text is not None else (ROOT / page).read_text()).splitlines()
    opened: re.Match | None = None
    start = 0
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, start = fence, number + 1
        elif opened and fence and fence[2].startswith(opened[2]) and not fence[3]:
            inside = [x.removeprefix(opened[1]) for x in lines[start - 1 : number - 1]]
            yield Block(page, start, opened[3], "\n".join(inside))
            opened = None
    assert opened is None, f"{page}:{start - 1}: this fence is never closed"


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block; AssertionError at a line that is none."""
    for line, text in _joined(block):
        if block.language == "console":
            if not text.startswith("$ "):
                continue  # what the program answered
            text = text[2:]
        for words in _split(block.page, line, text):
            command = _command(block.page, line, words, fenced=True)
            assert command.words and command.words[0] in PROGRAMS, (
                f"{block.page}:{line}: {text!r} begins with none of "
                f"{', '.join(PROGRAMS)}; if it is no command, give the block a "
                f"language, such as ```text"
            )
            yield command


def spans_of(page: str) -> Iterator[Command]:
    """The commands in `code` within the sentences and tables of a page."""
    fenced = {
        line
        for block in blocks_of(page)
        for line in range(block.line, block.line + len(block.text.splitlines()) + 1)
    }
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if number in fenced:
            continue
        for span in _SPAN.findall(line):
            first = span.split()[0] if span.split() else ""
            if first in SCRIPTS:
                span = f"python {span}"
            elif first not in PROGRAMS or " " not in span:
                continue
            for words in _split(page, number, span.replace("\\|", "|")):
                yield _command(page, number, words, fenced=False)


def _joined(block: Block) -> Iterator[tuple[int, str]]:
    """First line and text of each command: lines that a backslash ends are joined."""
    text, start = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        text, start = (text + line, start) if text else (line, number)
        if text.endswith("\\"):
            text = text[:-1] + " "
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield start, text.strip()
        text = ""
    assert not text, f"{block.page}:{start}: the last line ends with a backslash"


def _split(page: str, line: int, text: str) -> Iterator[list[str]]:
    """The words of each command of a line; && and ; stand between commands.

    Where the shell puts what a command prints, "> FILE", is none of its words.
    """
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise AssertionError(f"{page}:{line}: {text!r}: {error}") from error
    found: list[str] = []
    last = ""
    for word in [*words, "&&"]:
        if word in _REDIRECTIONS or last in _REDIRECTIONS:
            last = word
        elif word in ("&&", ";"):
            if found:
                yield found
            found = []
        else:
            found.append(word)


def _command(page: str, line: int, words: list[str], *, fenced: bool) -> Command:
    environment = {}
    rest = list(words)
    while rest and _ASSIGNMENT.match(rest[0]):
        name, _, value = rest.pop(0).partition("=")
        environment[name] = value
    if rest and rest[0] in ("python3", "python3.11", "python3.13"):
        rest[0] = "python"
    return Command(page, line, tuple(rest), environment, fenced)


def python_of(block: Block) -> str:
    """The Python of a block; of one with >>> the lines behind that."""
    lines = block.text.splitlines()
    if not any(line.startswith(">>>") for line in lines):
        return block.text
    return "\n".join(x[4:] for x in lines if x.startswith((">>>", "...")))
