"""Runs a page: its commands in the order of the page, then its Python.

A page is a story: later commands use what earlier ones made. Photos, data sets and
runs that the page supposes are made small, see `tree` and `small`.
"""

import functools
import shlex
from collections.abc import Sequence
from pathlib import Path

from tests.docs import blocks, names
from tests.docs.checks import check
from tests.docs.networks import Networks
from tests.docs.runner import Runner
from tests.docs.small import again, published
from tests.docs.told import Told
from tests.docs.tree import Tree

CLUSTER = ("srun", "JAX_NUM_PROCESSES")  # one of several processes


def runs(command: blocks.Command) -> bool:
    """Whether a command can be run here."""
    cluster = {command.words[0], *command.environment} & set(CLUSTER)
    return blocks.PROGRAMS[command.words[0]] == "run" and not cluster


def chosen(words: Sequence[str]) -> list[str]:
    """A command with a config in the place of a name that stands for some."""
    found = []
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--config" and equals:
            found.append(f"{option}={names.configs(value)[0]}")
        elif place and words[place - 1] == "--config":
            found.append(names.configs(word)[0])
        else:
            found.append(word)
    return found


def without_any(words: Sequence[str]) -> list[str]:
    """A command whose numbers in capitals are those of its config."""
    config = next((w for w in chosen(words) if w.startswith("configs/")), "")
    plain = names.read_plain(config) if config else {}
    return [w for w in words if not names._is_any_value(plain, w.partition("=")[::2])]


PAGES = [
    page
    for page in blocks.pages()
    if any(
        block.language in (*blocks.PYTHON, *blocks.COMMANDS)
        for block in blocks.blocks_of(page)
    )
]
# Pages of the second of two processes. Those that begin alike are in one.
SECOND = ("data", "export", "formats", "many_devices", "papers", "results", "weights")
HALVES = [
    [page for page in PAGES if (Path(page).stem in SECOND) == second]
    for second in (False, True)
]
# What a program says that lacks a library which the tests can do without.
LACKING = ("is not installed", "needs the library")


def tell(page: str, folder: Path, runner: Runner, told: Told) -> list[str]:
    """Runs a page, prints the seconds of each command, and gives what went wrong."""
    networks = Networks()
    tree = Tree(folder, networks)
    wrong, snippets = [], []
    read: set[str] = set()  # files of weights: for each, one network stays whole

    def note(place, done):
        print(f"{done.seconds:6.1f} s  {place}", flush=True)
        if done.code and not any(words in done.output for words in LACKING):
            end = "\n".join(done.output.strip().splitlines()[-12:])
            wrong.append(f"{place}\n    exit code {done.code}\n{end}")
            print(wrong[-1], flush=True)

    for block in blocks.blocks_of(page):
        if block.language in blocks.PYTHON:
            snippets.append((page, block.line, blocks.python_of(block)))
            continue
        if block.language not in blocks.COMMANDS:
            continue
        for command in blocks.commands_of(block):
            check(command, networks)
            if not runs(command):
                continue
            for spelled in names.spellings(command.words):
                words = without_any(chosen(spelled))
                start = published(words)
                words += again(words, Path(start).suffix != "" and start not in read)
                read.add(start)
                tree.prepare(words)
                job = (words, tree.folder, command.environment)
                done = told.run(*job, functools.partial(runner.run, *job))
                note(f"{page}:{command.line}: {shlex.join(words)}", done)
    if snippets:
        for _, _, text in snippets:
            tree.prepare_python(text)
        note(f"{page}: Python", runner.execute(snippets, tree.folder))
    return wrong
