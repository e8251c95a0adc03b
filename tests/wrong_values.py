"""Values that a declared setting must refuse, found from its annotation alone.

What an annotation allows is decided here by itself, not by `ppcjax.fields`, which is
what such values test.
"""

import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ppcjax.fields import Length, Name, OneOf, Ordered, Pattern, Range, kinds

LARGEST = {int: 2**31 - 1, float: 1e12}
NUMBERS = (
    math.nan,
    math.inf,
    -math.inf,
    2**70,
    -(2**70),
    10**400,
    1e300,
    0.5,
    0,
    -1,
    1,
)
TEXTS = ("", "a\0b", "a\nb", "no such name", "1", "nan", "x" * 5000)
# Among them names that lead elsewhere and expressions that are none.
PATHS = ("/tmp", "a/b", "a\\b", "..", ".", "../up", "a..b", "-rf", ".hidden", "~", " ")
PATTERNS = ("(", "[", "*", "a{2,1}", "(?P<n")
OTHERS = (
    True,
    False,
    None,
    (),
    [],
    {},
    object,
    b"a",
    [None],
    {1: 2},
    [[1.0]],
    {"a": 1},
)
# Mistakes of any kind; those that a setting allows are left out.
MISTAKES = (*NUMBERS, *TEXTS, *PATHS, *PATTERNS, *OTHERS)


def wrong_values(hint: Any) -> list[Any]:
    """Values that the annotation of a setting does not allow."""
    return [value for value in _candidates(hint) if not allows(hint, value)]


def right_values(hint: Any) -> list[Any]:
    """Values that the annotation of a setting allows, among them its bounds."""
    return [value for value in _candidates(hint) if allows(hint, value)]


def allows(hint: Any, value: Any) -> bool:
    """Whether an annotation allows a value."""
    kind, marks = _unfold(hint)
    names = _names(kind, marks)
    if names is not None:
        return any(type(value) is type(n) and value == n for n in names)
    if _is_union(kind):
        return any(allows(option, value) for option in typing.get_args(kind))
    if kind is type(None):
        return value is None
    if kind in (bool, str):
        return type(value) is kind and _is_plain(value, marks)
    if kind in (int, float):
        return _is_number(kind, value) and all(
            mark.holds(value) for mark in marks if isinstance(mark, Range)
        )
    origin = typing.get_origin(kind) or kind
    if origin in (tuple, Sequence):
        return isinstance(value, list | tuple) and _items_fit(kind, marks, value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(type(k) is str for k in value)
    return True


def right_value(hint: Any) -> Any:
    """Some value that an annotation allows."""
    kind, marks = _unfold(hint)
    names = _names(kind, marks)
    if names is not None:
        return names[0]
    if _is_union(kind):
        return right_value(typing.get_args(kind)[0])
    origin, items = typing.get_origin(kind) or kind, typing.get_args(kind)
    if kind in (int, float):
        # One of these lies in any range that a setting may have.
        bounds = _bounds(marks)
        tried = [0, 1, 0.5, 2, *bounds, *(b + 1 for b in bounds)]
        tried += [b - 1 for b in bounds]
        return next(kind(x) for x in tried if allows(hint, kind(x)))
    if origin in (tuple, Sequence):
        if ... in items or origin is Sequence:
            return [right_value(items[0])] * max(_least(marks), 1)
        return [right_value(item) for item in items]
    return {bool: True, str: "word", dict: {}, Mapping: {}, type(None): None}[origin]


def is_checked(hint: Any) -> bool:
    """Whether an annotation says enough for its values to be checked."""
    kind, marks = _unfold(hint)
    if _names(kind, marks) is not None:
        return True
    items = typing.get_args(kind)
    if _is_union(kind):
        return all(is_checked(option) for option in items)
    origin = typing.get_origin(kind) or kind
    if origin in (tuple, Sequence):
        some = bool(items) or kind == tuple[()]
        return some and all(is_checked(item) for item in items if item != ...)
    if origin in (dict, Mapping):
        return bool(items) and items[0] is str
    return origin in (bool, int, float, str, type(None))


def required(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Right values of those of `ppcjax.fields.fields_of` that have no default."""
    return {
        name: right_value(field.hint)
        for name, field in declared.items()
        if field.default is inspect.Parameter.empty
    }


def _candidates(hint: Any) -> list[Any]:
    kind, marks = _unfold(hint)
    found = [*MISTAKES, *(_names(kind, marks) or ())]
    for bound in _bounds(marks):
        found += [bound, bound - 1, bound + 1, bound - 1e-3, bound + 1e-3]
    if _is_union(kind):
        for option in typing.get_args(kind):
            found += _candidates(option)
    items = typing.get_args(kind)
    if typing.get_origin(kind) in (tuple, Sequence) and items:
        right = right_value(hint)
        found += [right, right[:-1], [*right, *right], "".join(map(str, right))]
        for i in range(len(right)):
            item = items[0] if ... in items else items[min(i, len(items) - 1)]
            for other in (*wrong_values(item), *right_values(item)):
                found.append([*right[:i], other, *right[i + 1 :]])
    return found


def _unfold(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Annotated:
        kind, *marks = typing.get_args(hint)
        return kind, tuple(marks)
    return hint, ()


def _names(kind: Any, marks: Sequence) -> tuple[Any, ...] | None:
    if typing.get_origin(kind) is Literal:
        return typing.get_args(kind)
    return next((tuple(mark.names) for mark in marks if isinstance(mark, OneOf)), None)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _is_plain(value: Any, marks: Sequence) -> bool:
    if not isinstance(value, str):
        return True
    if any(isinstance(mark, Name) for mark in marks):
        if not all(c.isalnum() or c in "_ .+=,@-" for c in value):
            return False
        if not (value[:1].isalnum() or value[:1] == "_") or ".." in value:
            return False
        if len(value) > 100:
            return False
    if any(isinstance(mark, Pattern) for mark in marks):
        try:
            re.compile(value)
        except re.error:
            return False
        if not value:
            return False
    return len(value) <= 4096 and value.isprintable()


def _is_number(kind: type, value: Any) -> bool:
    known = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, known):
        return False
    return abs(value) <= LARGEST[kind]  # which NaN is not


def _items_fit(kind: Any, marks: Sequence, value: Sequence) -> bool:
    items = typing.get_args(kind)
    any_count = ... in items or typing.get_origin(kind) is Sequence
    if not any_count and len(items) != len(value):
        return False
    most = [m.most for m in marks if isinstance(m, Length) and m.most is not None]
    if len(value) < _least(marks) or any(len(value) > m for m in most):
        return False
    of_each = items[:1] * len(value) if any_count else items
    if not all(allows(i, v) for i, v in zip(of_each, value, strict=True)):
        return False
    ordered = any(isinstance(mark, Ordered) for mark in marks)
    return not ordered or list(value) == sorted(value)


def _least(marks: Sequence) -> int:
    return max((m.least for m in marks if isinstance(m, Length)), default=0)


def _bounds(marks: Sequence) -> list[float]:
    ranges = [m for m in marks if isinstance(m, Range)]
    ends = [(r.least, r.most, r.above, r.below) for r in ranges]
    return [bound for four in ends for bound in four if bound is not None]


def unbounded(hint: Any) -> bool:
    """Whether a number in an annotation may be as large or as small as it likes."""
    kind, marks = _unfold(hint)
    if _names(kind, marks) is not None or hint == kinds.Seed:
        return False  # a seed is as large as a number of 32 bits can be
    if kind in (int, float):
        ranges = [m for m in marks if isinstance(m, Range)]
        low = any(r.least is not None or r.above is not None for r in ranges)
        high = any(r.most is not None or r.below is not None for r in ranges)
        return not (low and high)
    items = [item for item in typing.get_args(kind) if item is not ...]
    return any(map(unbounded, items))
