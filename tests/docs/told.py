"""What one page has run, another need not run again.

A command in the same words, on files of the same names and sizes, writes what it wrote
before: that is laid into the folder of the later page. Numbers and networks of
stand-ins mean nothing, so that no more needs to be the same.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.docs.runner import LOG, Done

# The same program under another name.
SAME = {("python", "train.py"): ("ppcjax", "train")}
SAME |= {("python", "eval.py"): ("ppcjax", "eval")}


class _Written(NamedTuple):
    done: Done
    folder: Path
    files: frozenset[Path]


class Told:
    """Commands that ran well, in one process of tests."""

    def __init__(self):
        self._known: dict[Any, _Written] = {}
        # File of a tree -> the command that wrote it, which says more than its size.
        self._origins: dict[Path, Any] = {}

    def run(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        run: Callable[[], Done],
    ) -> Done:
        """Runs a command, or lays down what it wrote for an earlier page.

        Args:
            words: the command.
            folder: the tree in which it runs.
            environment: what is set for it.
            run: runs it.
        """
        key = (self._key(words, folder), tuple(sorted(environment.items())))
        known = self._known.get(key)
        if known is not None and all((known.folder / x).exists() for x in known.files):
            for name in known.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(known.folder / name, folder / name)
            self._wrote(key, folder, known.files)
            return known.done._replace(seconds=0.0)
        before = _state(folder)
        done = run()
        files = frozenset(
            path for path, state in _state(folder).items() if before.get(path) != state
        )
        self._wrote(key, folder, files)
        if not done.code:
            self._known[key] = _Written(done, folder, files)
        return done

    def _wrote(self, key: Any, folder: Path, files: frozenset[Path]) -> None:
        self._origins |= {folder / name: key for name in files}

    def _key(self, words: Sequence[str], folder: Path) -> Any:
        """The command, and what lies at each path that it names."""
        plain = tuple(word.removesuffix(".py") for word in words)
        plain = (*SAME.get(tuple(words[:2]), plain[:2]), *plain[2:])
        plain = tuple(word.replace("=configs/", "=") for word in plain)
        named = {folder / word.partition("=")[2] for word in words if "=" in word}
        named |= {folder / word for word in words if not word.startswith("-")}
        read = []
        for place in named - {folder}:
            found = place.rglob("*") if place.is_dir() else [place]
            for file in filter(Path.is_file, found):
                origin = self._origins.get(file, file.stat().st_size)
                read.append((file.relative_to(folder).as_posix(), hash(origin)))
        return plain, tuple(sorted(read))


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Time and size of each file below a folder, but for what the runner keeps."""
    files = filter(Path.is_file, folder.rglob("*"))
    return {
        file.relative_to(folder): (file.stat().st_mtime_ns, file.stat().st_size)
        for file in files
        if file.name != LOG
    }
