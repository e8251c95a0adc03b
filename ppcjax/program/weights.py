"""Lists and fetches published weights."""

import sys

from ppcjax.weights import __main__ as weights


def main(argv: list[str]) -> None:
    """Does what the arguments ask for, and exits."""
    sys.exit(weights.main(argv))
