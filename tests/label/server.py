"""Serves a folder with the tiny network: python -m tests.label.server PHOTOS."""

import sys
from pathlib import Path

from ppcjax import cli
from ppcjax.console import signals
from ppcjax.label import serving
from tests.label import worlds


def main(photos: Path) -> None:
    """Serves until it is stopped."""
    folder = photos.with_name(f"{photos.name}-labels")
    serving.serve(photos, folder, worlds.network, host="127.0.0.1", port=0)


if __name__ == "__main__":
    signals.as_program()
    cli.one_line(main, Path(sys.argv[1]))
