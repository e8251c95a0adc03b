"""Runs of Label Studio's brush: bits packed into bytes, of the four bytes of a pixel.

A head says how many values there are (32 bits), their bits less 1 (5), and four lengths
of numbers less 1 (4 each). Then: one bit, whether a run or single values follow; two
bits, which length of number; the count less 1; the value, or the values.
"""

import numpy as np

from ppcjax.types import UserError

_LENGTHS = (3, 4, 8, 16)  # as Label Studio itself writes
_WORD = 8
_ON = 255


def decode(packed: list[int], values: int, where: str) -> np.ndarray:
    """The values of packed runs.

    Args:
        packed: bytes.
        values: how many values there must be.
        where: what it is, for errors.

    Returns:
        [values] uint8.
    """
    try:
        bits = np.unpackbits(np.array(packed, np.uint8))
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: 'rle' is not a list of bytes") from error
    if len(bits) < 53:
        raise UserError(f"{where}: 'rle' is too short")
    text = bits.tobytes()
    place = 0

    def read(count):
        nonlocal place
        part = text[place : place + count]
        place += count
        if len(part) < count:
            raise UserError(f"{where}: 'rle' ends too early; export it again")
        return int(part.translate(_DIGITS), 2)

    count, word = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if count != values or word != _WORD:
        raise UserError(
            f"{where}: 'rle' holds {count} values of {word} bits, but its photo needs "
            f"{values} of 8; export it again"
        )
    out = np.zeros(values, np.uint8)
    done = 0
    while done < values:
        is_run = read(1)
        stop = done + 1 + read(lengths[read(2)])
        if stop > values:
            raise UserError(
                f"{where}: 'rle' holds more than its photo; export it again"
            )
        if is_run:
            out[done:stop] = read(word)
        else:
            size = (stop - done) * word
            if place + size > len(bits):
                raise UserError(f"{where}: 'rle' ends too early; export it again")
            out[done:stop] = np.packbits(bits[place : place + size])
            place += size
        done = stop
    return out


_DIGITS = bytes([48, 49]) + bytes(range(2, 256))


def encode(inside: np.ndarray) -> list[int]:
    """Packed runs of a mask [H, W] bool, opaque white inside."""
    flat = inside.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = [0, *edges.tolist(), flat.size]
    parts = [f"{4 * flat.size:032b}{_WORD - 1:05b}"]
    parts += [f"{length - 1:04b}" for length in _LENGTHS]
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        left, value = 4 * (stop - start), _ON * int(flat[start])
        while left:
            count = min(left, 1 << _LENGTHS[-1])
            which = next(i for i, n in enumerate(_LENGTHS) if count <= 1 << n)
            parts.append(
                f"1{which:02b}{count - 1:0{_LENGTHS[which]}b}{value:0{_WORD}b}"
            )
            left -= count
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
