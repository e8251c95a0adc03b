"""NumPy's arrays in pickles, made from their bytes and nothing else."""

import math
import re
from typing import Any

import ml_dtypes
import numpy as np

from ppcjax.weights.readers.stand_ins import Name

_KIND = re.compile(r"[<>|=]?[?biufc](1|2|4|8|16)?")


class PickledType:
    """A dtype; its state may change the order of its bytes."""

    def __init__(self, kind: np.dtype | None):
        self.kind = kind

    def _set_state(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if self.kind is not None and order in ("<", ">"):
            self.kind = self.kind.newbyteorder(order)

    state = property(None, _set_state)


class PickledArray:
    """An array whose shape and bytes arrive after it."""

    state: Any = None

    def array(self) -> np.ndarray | None:
        """The array; None where its elements are objects or texts."""
        if self.state is None:
            return None
        shape, kind, by_columns, raw = self.state[-4:]
        if not isinstance(kind, PickledType):
            raise ValueError("an array without a dtype")
        if kind.kind is None:
            return None
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        if len(raw) != math.prod(shape) * kind.kind.itemsize:
            raise ValueError("an array whose shape and values differ in size")
        flat = np.frombuffer(raw, kind.kind) if raw else np.zeros(0, kind.kind)
        return flat.reshape(shape, order="F" if by_columns else "C")


def _dtype(machine: Any, kind: Any, *_: Any) -> PickledType:
    if isinstance(kind, Name):
        known = kind == ("ml_dtypes", "bfloat16")
        return PickledType(np.dtype(ml_dtypes.bfloat16) if known else None)
    plain = isinstance(kind, str) and _KIND.fullmatch(kind)
    return PickledType(np.dtype(kind) if plain else None)


def _empty(machine: Any, *_: Any) -> PickledArray:
    return PickledArray()


def _from_buffer(machine: Any, raw: Any, kind: Any, shape: Any, order: Any = "C"):
    array = PickledArray()
    array.state = (shape, kind, order == "F", raw)
    return array


NUMPY_MAKERS = {
    ("numpy", "dtype"): _dtype,
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for module, name, maker in (
            ("multiarray", "_reconstruct", _empty),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
