"""A machine for pickles that makes data and runs nothing.

Python's own unpickler calls what a file names and trusts the sizes that it declares.
This one knows numbers, texts and containers. A class or function is only a name; what
calling it would have made is taken from a table of a few known makers, or is a stub.

Memory stays within what the bytes of the file explain: no size is believed before the
bytes are there, and whatever copies an object is paid from a budget of that order.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from ppcjax.weights.readers.errors import Refusal
from ppcjax.weights.readers.pickle_steps import STEPS
from ppcjax.weights.readers.stand_ins import Name, Stub, is_key, put

# A checkpoint of 10,000 tensors has some 400,000 steps.
_MAX_STEPS = 2_000_000
_STOP = ord(".")


class Machine:
    """Reads pickles that lie one after another in some bytes."""

    def __init__(
        self,
        data: bytes,
        makers: Mapping[tuple[str, str], Callable[..., Any]],
        persistent: Callable[[Any], Any] | None = None,
        start: int = 0,
        end: int | None = None,
    ):
        """Starts before the first pickle.

        Args:
            data: bytes that hold the pickles.
            makers: functions of (machine, *arguments) by module and name; they make
                what calling that name would have made.
            persistent: turns the id of an object that is kept elsewhere into one.
            start: where the first pickle begins.
            end: where the bytes that may be read end.
        """
        self.data, self.at = data, start
        self.end = len(data) if end is None else end
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._below: list[list[Any]] = []
        self._makers, self._persistent = makers, persistent
        self._budget = 4 * (self.end - start) + 4096
        self._steps = _MAX_STEPS

    def load(self) -> Any:
        """What the next pickle holds; `at` is behind it afterwards."""
        self.stack, self.memo, self._below = [], {}, []
        while self._steps:
            self._steps -= 1
            code = self.take(1)[0]
            if code == _STOP:
                return self.stack.pop()
            if code not in STEPS:
                raise ValueError(f"unknown code {code:#x} in its pickle")
            STEPS[code](self)
        raise Refusal(
            f"has more than {_MAX_STEPS} steps in its pickle, more than any weights "
            "need; save the state_dict alone"
        )

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= self.end - self.at:
            raise EOFError("its pickle ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def take_number(self, form: str) -> Any:
        """The next number, in a form of the module struct."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def take_line(self) -> bytes:
        """The bytes before the next line feed."""
        line = self.take(self.data.index(b"\n", self.at, self.end) - self.at)
        self.at += 1
        return line

    def spend(self, count: int) -> None:
        """Pays for copied items or bytes; a file copies what it holds a few times."""
        self._budget -= count
        if self._budget < 0:
            raise ValueError("its pickle makes far more than it holds")

    def push_mark(self) -> None:
        """Begins a group of objects."""
        self._below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        """The objects since the last mark."""
        items, self.stack = self.stack, self._below.pop()
        return items

    def make(self, maker: Any, arguments: Any) -> Any:
        """What calling `maker` stands for."""
        known = self._makers.get(maker) if isinstance(maker, Name) else None
        if known is None:
            return Stub(maker)
        if not isinstance(arguments, tuple):
            raise ValueError("arguments that are no tuple in its pickle")
        return known(self, *arguments)

    def load_persistent(self, key: Any) -> Any:
        """The object that is kept elsewhere under this id."""
        if self._persistent is None:
            raise ValueError("its pickle refers to objects outside of it")
        return self._persistent(key)


def _dictionary(machine: Machine, *arguments: Any) -> dict[Any, Any]:
    """A dictionary of the collections, of pairs or of another one."""
    found: dict[Any, Any] = {}
    given = arguments[-1] if arguments else ()
    pairs = given.items() if isinstance(given, dict) else given
    if isinstance(pairs, Name | Stub) or pairs is None:  # defaultdict(list)
        return found
    machine.spend(len(pairs))
    for key, value in pairs:
        put(found, key, value)
    return found


def _set(machine: Machine, values: Any = ()) -> set[Any]:
    machine.spend(len(values))
    return {value for value in values if is_key(value)}


def _bytes(machine: Machine, text: str = "", encoding: str = "latin1") -> bytes:
    """How bytes are written in pickles of protocol 2."""
    machine.spend(len(text))
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in an unknown encoding in its pickle")
    return text.encode("latin-1")


def _plain_object(machine: Machine, kind: Any, *_: Any) -> Any:
    return machine.make(kind, ())


def _new_object(machine: Machine, kind: Any, *arguments: Any) -> Any:
    return machine.make(kind, arguments)


BASIC_MAKERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _dictionary,
    ("_codecs", "encode"): _bytes,
    **{
        (module, name): maker
        for module in ("builtins", "__builtin__")
        for name, maker in (
            *(("set", _set), ("frozenset", _set), ("bytes", _bytes)),
            *(("dict", _dictionary), ("bytearray", _bytes)),
        )
    },
    **{
        (module, name): maker
        for module in ("copyreg", "copy_reg")
        for name, maker in (
            *(("_reconstructor", _plain_object), ("__newobj__", _new_object)),
        )
    },
}
