"""How far a long loop is: one bar on a terminal, plain lines in a log."""

from ppcjax.console.loops import show_progress

__all__ = ["show_progress"]
