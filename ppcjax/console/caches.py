"""Where what can be made again is kept: programs, features, weights."""

import os
from pathlib import Path


def folder(*names: str) -> Path:
    """The folder ppcjax in the user's own one for such things, or what lies in it.

    That is what XDG_CACHE_HOME names, if it is an absolute path, and else ~/.cache.

    Args:
        names: folders below, the outer one first.
    """
    base = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", ""))
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    return Path(base, "ppcjax", *names)
