"""What stands for the classes and objects of a pickle, of which none is made."""

from typing import Any, NamedTuple

from ppcjax.weights.readers.errors import Refusal

MAX_INT = 1 << 60
_SCALARS = frozenset((str, bytes, int, float, bool, type(None)))
# Names that no weights need. Nothing would be run without this list, either; it is
# there to say plainly what such a file is.
_HOSTILE_MODULES = frozenset(
    "os posix nt subprocess commands sys socket shutil pty runpy importlib ctypes "
    "webbrowser pip code timeit pdb signal".split()
)
_HOSTILE_BUILTINS = frozenset(
    "eval exec execfile compile open file input __import__".split()
)


class Name(NamedTuple):
    """A class or function that a pickle names."""

    module: str
    name: str


class Stub:
    """Stands for an object of a class that is not known; holds what it was given."""

    __slots__ = ("maker", "state", "entries")

    def __init__(self, maker: Any):
        self.maker = maker
        self.state: Any = None
        self.entries: dict[Any, Any] | None = None


def name_of(module: Any, name: Any) -> Name:
    """A name out of a pickle.

    Raises:
        Refusal: whoever wrote the pickle wants something run.
    """
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a class without a name in its pickle")
    root = module.partition(".")[0]
    builtin = root in ("builtins", "__builtin__", "_io", "io")
    if root in _HOSTILE_MODULES or (builtin and name in _HOSTILE_BUILTINS):
        raise Refusal(
            f"would run {root}.{name[:40]!r} where it is unpickled, which no weights "
            "need; nothing was run here; don't trust the file, take the weights from "
            "elsewhere"
        )
    return Name(module, name)


def is_scalar(value: Any) -> bool:
    """Whether a value is a number, a text or None."""
    return type(value) in _SCALARS


def is_key(value: Any) -> bool:
    """Whether a value may be a key: a text, a usual int, None.

    Nested tuples can take forever to hash, and large ints and fractions can be chosen
    so that all of them have one hash.
    """
    if type(value) is int:
        return abs(value) < MAX_INT
    return type(value) in (str, bytes, bool, type(None))


def put(target: Any, key: Any, value: Any) -> None:
    """Makes one entry of a dictionary, unless its key can't be one."""
    if not is_key(key):
        return
    if isinstance(target, Stub):
        target.entries = {} if target.entries is None else target.entries
        target = target.entries
    if isinstance(target, dict):
        target[key] = value


def put_all(target: Any, items: list[Any]) -> None:
    """Makes entries of a dictionary from keys and values in turn."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        put(target, key, value)
