"""What each code of a pickle does to the machine that reads it."""

import codecs
import pickle
from collections.abc import Callable
from typing import Any

from ppcjax.weights.readers import stand_ins

Step = Callable[[Any], None]


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _latin(raw: bytes) -> str:
    """Texts of Python 2, which may be bytes."""
    return raw.decode("latin-1")


def _int_line(line: bytes) -> int | bool:
    return line == b"01" if line in (b"00", b"01") else int(line)


def _slot_line(line: bytes) -> int:
    """A place in the memo, where `STEPS` keeps objects for later."""
    slot = int(line)
    if not 0 <= slot < 1 << 32:
        raise ValueError("a place beyond the memo of its pickle")
    return slot


def _string_line(line: bytes) -> str:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a text without quotes in its pickle")
    return _latin(codecs.escape_decode(line[1:-1])[0])


def _extend(machine: Any, values: list[Any]) -> None:
    if isinstance(machine.stack[-1], list):
        machine.stack[-1].extend(values)


def _append_marked(machine: Any) -> None:
    values = machine.pop_mark()
    _extend(machine, values)


def _append(machine: Any) -> None:
    value = machine.stack.pop()
    _extend(machine, [value])


def _scalars(values: list[Any]) -> set[Any]:
    return {value for value in values if stand_ins.is_key(value)}


def _add_marked(machine: Any) -> None:
    values = machine.pop_mark()
    if isinstance(machine.stack[-1], set):
        machine.stack[-1].update(_scalars(values))


def _put_marked(machine: Any) -> None:
    items = machine.pop_mark()
    stand_ins.put_all(machine.stack[-1], items)


def _put(machine: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    stand_ins.put(machine.stack[-1], key, value)


def _dict(items: list[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    stand_ins.put_all(found, items)
    return found


def _tuple_of(count: int) -> Step:
    def step(machine: Any) -> None:
        stack = machine.stack
        if len(stack) < count:
            raise IndexError("its pickle takes from an empty stack")
        stack[-count:] = [tuple(stack[-count:])]

    return step


def _call(machine: Any) -> None:
    arguments, maker = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.make(maker, arguments))


def _call_with_keywords(machine: Any) -> None:
    machine.stack.pop()
    _call(machine)


def _old_object(machine: Any) -> None:
    maker, *arguments = machine.pop_mark()
    machine.stack.append(machine.make(maker, tuple(arguments)))


def _old_instance(machine: Any) -> None:
    maker, arguments = _named(machine), tuple(machine.pop_mark())
    machine.stack.append(machine.make(maker, arguments))


def _named(machine: Any) -> stand_ins.Name:
    module, name = machine.take_line(), machine.take_line()
    return stand_ins.name_of(_text(module), _text(name))


def _stacked_name(machine: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(stand_ins.name_of(module, name))


def _set_state(machine: Any) -> None:
    """Gives an object its state, where it is one that keeps it."""
    state = machine.stack.pop()
    if hasattr(type(machine.stack[-1]), "state"):
        machine.stack[-1].state = state


def _frame(machine: Any) -> None:
    if machine.take_number("<Q") > machine.end - machine.at:
        raise EOFError("its pickle ends early")


def _protocol(machine: Any) -> None:
    if machine.take(1)[0] > pickle.HIGHEST_PROTOCOL:
        raise ValueError("its pickle is of an unknown protocol")


def _pop(machine: Any) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _empty_set(machine: Any) -> set[Any]:
    machine.spend(32)  # the largest object that is made of one byte
    return set()


def _push(value_of: Callable[[Any], Any]) -> Step:
    """A step that pushes one value."""

    def step(machine: Any) -> None:
        value = value_of(machine)  # may end a group, and with it the stack
        machine.stack.append(value)

    return step


def _pushing() -> dict[bytes, Callable[[Any], Any]]:
    """Codes that push a value, and where it comes from."""
    p = pickle
    lines = {
        p.INT: _int_line,
        p.LONG: lambda line: int(line.removesuffix(b"L")),
        p.FLOAT: float,
        p.STRING: _string_line,
        p.UNICODE: lambda line: line.decode("raw-unicode-escape"),
    }
    counted = {
        **{p.LONG1: ("<B", _integer), p.LONG4: ("<i", _integer)},
        **{p.BINSTRING: ("<i", _latin), p.SHORT_BINSTRING: ("<B", _latin)},
        **{p.BINBYTES: ("<I", bytes), p.SHORT_BINBYTES: ("<B", bytes)},
        **{p.BINBYTES8: ("<Q", bytes), p.BYTEARRAY8: ("<Q", bytes)},
        **{p.BINUNICODE: ("<I", _text), p.SHORT_BINUNICODE: ("<B", _text)},
        p.BINUNICODE8: ("<Q", _text),
    }
    numbers = {p.BININT: "<i", p.BININT1: "<B", p.BININT2: "<H", p.BINFLOAT: ">d"}
    constants = {p.NONE: None, p.NEWTRUE: True, p.NEWFALSE: False, p.EMPTY_TUPLE: ()}
    fresh = {p.EMPTY_DICT: dict, p.EMPTY_LIST: list}
    marked = {p.TUPLE: tuple, p.LIST: list, p.DICT: _dict, p.FROZENSET: _scalars}
    kept = {p.BINGET: "<B", p.LONG_BINGET: "<I"}
    return {
        **{c: lambda m, f=f: f(m.take_line()) for c, f in lines.items()},
        **{
            c: lambda m, n=n, f=f: f(m.take(m.take_number(n)))
            for c, (n, f) in counted.items()
        },
        **{c: lambda m, n=n: m.take_number(n) for c, n in numbers.items()},
        **{c: lambda m, v=v: v for c, v in constants.items()},
        **{c: lambda m, f=f: f() for c, f in fresh.items()},
        **{c: lambda m, f=f: f(m.pop_mark()) for c, f in marked.items()},
        **{c: lambda m, n=n: m.memo[m.take_number(n)] for c, n in kept.items()},
        p.GET: lambda m: m.memo[_slot_line(m.take_line())],
        p.EMPTY_SET: _empty_set,
        p.DUP: lambda m: m.stack[-1],
        p.GLOBAL: _named,
        p.PERSID: lambda m: m.load_persistent(_text(m.take_line())),
        p.BINPERSID: lambda m: m.load_persistent(m.stack.pop()),
    }


def _keep(slot_of: Callable[[Any], int]) -> Step:
    """A step that remembers the object on top."""

    def step(machine: Any) -> None:
        machine.memo[slot_of(machine)] = machine.stack[-1]

    return step


def _steps() -> dict[int, Step]:
    p = pickle
    steps = {
        **{code: _push(value_of) for code, value_of in _pushing().items()},
        **{p.PROTO: _protocol, p.FRAME: _frame, p.POP: _pop},
        **{p.MARK: lambda m: m.push_mark(), p.POP_MARK: lambda m: m.pop_mark()},
        **{p.TUPLE1: _tuple_of(1), p.TUPLE2: _tuple_of(2), p.TUPLE3: _tuple_of(3)},
        **{p.APPEND: _append, p.APPENDS: _append_marked, p.ADDITEMS: _add_marked},
        **{p.SETITEM: _put, p.SETITEMS: _put_marked, p.BUILD: _set_state},
        **{p.REDUCE: _call, p.NEWOBJ: _call, p.NEWOBJ_EX: _call_with_keywords},
        **{p.OBJ: _old_object, p.INST: _old_instance, p.STACK_GLOBAL: _stacked_name},
        p.PUT: _keep(lambda m: _slot_line(m.take_line())),
        p.BINPUT: _keep(lambda m: m.take_number("<B")),
        p.LONG_BINPUT: _keep(lambda m: m.take_number("<I")),
        p.MEMOIZE: _keep(lambda m: len(m.memo)),
    }
    return {code[0]: step for code, step in steps.items()}


STEPS = _steps()
