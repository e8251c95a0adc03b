"""Every command of README and docs can be typed, every snippet is Python."""

import ast

import pytest

from tests.docs import blocks, clusters
from tests.docs.checks import check
from tests.docs.networks import Networks

PAGES = blocks.pages()


def _commands(page, fenced):
    """The commands of a page, and what is wrong with those that are none."""
    wrong, found = [], []
    if not fenced:
        return list(blocks.spans_of(page)), wrong
    for block in blocks.blocks_of(page):
        try:
            if block.language in blocks.COMMANDS:
                found += blocks.commands_of(block)
                clusters.check_sbatch(block)
            elif block.language == "yaml":
                found += clusters.commands_of(block)
            elif block.language in blocks.PYTHON:
                ast.parse(blocks.python_of(block))
            else:
                assert block.language in blocks.OTHERS, (
                    f"{page}:{block.line}: a block of {block.language!r} is neither "
                    f"commands nor Python; {', '.join(blocks.OTHERS)} are neither, too"
                )
        except SyntaxError as error:
            line = block.line + (error.lineno or 1) - 1
            wrong.append(f"{page}:{line}: no Python: {error.text} ({error.msg})")
        except AssertionError as error:
            wrong.append(str(error))
    return found, wrong


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_can_be_typed(page, capsys):
    networks = Networks()
    for fenced in (True, False):
        found, wrong = _commands(page, fenced)
        for command in found:
            try:
                check(command, networks)
            except AssertionError as error:
                wrong.append(f"{error} {capsys.readouterr().err}")
        assert not wrong, "\n".join(["", *wrong])
