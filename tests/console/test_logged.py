"""Log lines of ppcjax's modules look as all lines do, whatever others do to the log."""

import logging

import pytest

from ppcjax import cli


@pytest.mark.parametrize("name", ["ppcjax", "ppcjax.data_pipelines.examples"])
def test_lines_have_nothing_in_front_and_come_once(name, capfd):
    root = logging.getLogger()
    before = list(root.handlers)
    root.addHandler(logging.StreamHandler())  # as libraries add one
    try:
        cli.one_line(lambda: logging.getLogger(name).warning("left out %s", "a.jpg"))
    finally:
        root.handlers[:] = before
    assert capfd.readouterr().err == "left out a.jpg\n"
    assert logging.getLogger("ppcjax").propagate
