"""Values that a declared setting must refuse, found from its annotation alone.

What an annotation allows is decided here by itself, not by `ppcjax.fields`, which is
what such values test.
"""

import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ppcjax.fields import Length, OneOf, Range

LARGEST = {int: 2**31 - 1, float: 1e12}
# Mistakes of any kind; those that a setting allows are left out.
MISTAKES = (
    *(math.nan, math.inf, -math.inf, 2**70, -(2**70), 0.5, -1, 1),
    *("", "a\0b", "no such name", "1", "x" * 5000),
    *(True, None, (), [], {}, object, [None], {1: 2}, [[1.0]]),
)


def wrong_values(hint: Any) -> list[Any]:
    """Values that the annotation of a setting does not allow."""
    return [value for value in _candidates(hint) if not allows(hint, value)]


def allows(hint: Any, value: Any) -> bool:
    """Whether an annotation allows a value."""
    kind, marks = _unfold(hint)
    names = [tuple(mark.names) for mark in marks if isinstance(mark, OneOf)]
    if typing.get_origin(kind) is Literal:
        names = [typing.get_args(kind)]
    if names:
        return any(type(value) is type(n) and value == n for n in names[0])
    if _is_union(kind):
        return any(allows(option, value) for option in typing.get_args(kind))
    if kind is type(None):
        return value is None
    if kind in (bool, str):
        return type(value) is kind and _is_plain(value)
    if kind in (int, float):
        return _is_number(kind, value) and all(
            mark.holds(value) for mark in marks if isinstance(mark, Range)
        )
    origin, items = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (tuple, Sequence):
        return isinstance(value, list | tuple) and _items_fit(items, marks, value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(type(k) is str for k in value)
    return True


def right_value(hint: Any) -> Any:
    """Some value that an annotation allows."""
    kind, marks = _unfold(hint)
    origin, items = typing.get_origin(kind) or kind, typing.get_args(kind)
    for mark in marks:
        if isinstance(mark, OneOf):
            return next(iter(mark.names))
    if origin is Literal:
        return items[0]
    if _is_union(kind):
        return right_value(items[0])
    if kind in (int, float):
        # One of these lies in any range that a setting may have.
        tried = [0, 1, 0.5, 2, *_bounds(marks), *(b + 1 for b in _bounds(marks))]
        tried += [b - 1 for b in _bounds(marks)]
        return next(kind(x) for x in tried if allows(hint, kind(x)))
    if origin in (tuple, Sequence):
        if ... in items or origin is Sequence:
            return [right_value(items[0])] * max(_least(marks), 1)
        return [right_value(item) for item in items]
    return {bool: True, str: "word", dict: {}, Mapping: {}, type(None): None}[origin]


def _candidates(hint: Any) -> list[Any]:
    kind, marks = _unfold(hint)
    found = list(MISTAKES)
    for bound in _bounds(marks):
        found += [bound, bound - 1, bound + 1, bound - 1e-3, bound + 1e-3]
    if _is_union(kind):
        for option in typing.get_args(kind):
            found += _candidates(option)
    items = typing.get_args(kind)
    if typing.get_origin(kind) in (tuple, Sequence) and items:
        right = right_value(hint)
        found += [right[:-1], [*right, *right], "".join(map(str, right))]
        for i in range(len(right)):
            item = items[0] if ... in items else items[min(i, len(items) - 1)]
            found += [
                [*right[:i], wrong, *right[i + 1 :]] for wrong in wrong_values(item)
            ]
    return found


def _unfold(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Annotated:
        kind, *marks = typing.get_args(hint)
        return kind, tuple(marks)
    return hint, ()


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, str) or (len(value) <= 4096 and value.isprintable())


def _is_number(kind: type, value: Any) -> bool:
    known = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, known):
        return False
    return math.isfinite(value) and abs(value) <= LARGEST[kind]


def _items_fit(items: Sequence, marks: Sequence, value: Sequence) -> bool:
    if ... not in items and len(items) != len(value):
        return False
    most = [m.most for m in marks if isinstance(m, Length) and m.most is not None]
    if len(value) < _least(marks) or any(len(value) > m for m in most):
        return False
    of_each = items[:1] * len(value) if ... in items else items
    return all(allows(i, v) for i, v in zip(of_each, value, strict=True))


def _least(marks: Sequence) -> int:
    return max((m.least for m in marks if isinstance(m, Length)), default=0)


def _bounds(marks: Sequence) -> list[float]:
    ranges = [m for m in marks if isinstance(m, Range)]
    ends = [(r.least, r.most, r.above, r.below) for r in ranges]
    return [bound for four in ends for bound in four if bound is not None]
