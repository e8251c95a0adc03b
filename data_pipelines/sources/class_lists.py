"""Lists of classes: names, ids and colours, in every form that tools write."""

from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.text import read_text

BACKGROUND_NAMES = ("background", "void", "unlabelled", "unlabeled")


class ClassList(NamedTuple):
    """What a file says of the classes.

    names: in the order of their ids, without the background.
    label_ids: id in the masks of each class where the file gives ids that are not
        0..C-1, the background's first; empty otherwise.
    colours: colour of each class, the background's first; empty where there are none.
    void: ids in the masks that the file calls void, unlabelled or the like while
        another line is the background.
    has_background: whether a line named the background.
    file: which it was.
    text: what was found, in a few words, for the account of what was read.
    """

    names: tuple[str, ...]
    label_ids: tuple[int, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    void: tuple[int, ...] = ()
    has_background: bool = False
    file: Path = Path()
    text: str = ""


def find(root: Path) -> ClassList | None:
    """The class list in a folder; None where there is none."""
    file = root / "classes.txt"
    return read(file) if file.is_file() else None


def read(file: Path, *, background: bool = True) -> ClassList:
    """Reads a class list.

    Args:
        file: a list that a person or a tool wrote.
        background: whether id 0 is a background; False: the list begins with class 0,
            whatever its name.

    Raises:
        UserError: the file is no class list.
    """
    names = tuple(line.strip() for line in read_text(file).splitlines() if line.strip())
    named = background and bool(names) and names[0].lower() in BACKGROUND_NAMES
    return ClassList(names[1:] if named else names, has_background=named, file=file)
