"""Published weights on the command line.

ppcjax weights list           all that are known by name
ppcjax weights list NAME      those with NAME in id, network, source or config
ppcjax weights fetch SOURCE   downloads one and prints its path; SOURCE is an id of the
                              list, hf://OWNER/NAME[/FILE] or a URL
"""

import sys
from collections.abc import Sequence

from ppcjax import checkout
from ppcjax.console import plain
from ppcjax.types import UserError
from ppcjax.weights import fetch, known, uses


def list_(name: str = "") -> None:
    """Prints what is known."""
    for line in uses.as_text(known.find(name)):
        print(line)


def fetch_(source: str) -> None:
    """Downloads a file, or finds it, and prints its path."""
    print(fetch.local_file(source).path)


# Name -> what it does, and how many words it needs and may have.
COMMANDS = {"list": (list_, 0, 1), "fetch": (fetch_, 1, 1)}


def main(words: Sequence[str]) -> int:
    """Does what the words ask for; returns the exit code."""
    try:
        if not words or {"--help", "-h"} & set(words):
            print(checkout.as_typed(__doc__.strip()), flush=True)
            return 0
        command, *rest = words
        if command not in COMMANDS:
            there = ", ".join(COMMANDS)
            raise UserError(f"{command!r} is no command; there are {there}, and --help")
        run, least, most = COMMANDS[command]
        if not least <= len(rest) <= most:
            raise UserError(f"{command} takes another number of words; see --help")
        run(*rest)
        sys.stdout.flush()
    except UserError as error:
        said = plain.line(" ".join(str(error).split()))
        print(f"error: {said}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stdout = None
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
