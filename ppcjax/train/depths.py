"""Rates by depth: how much slower the blocks of a vision transformer learn.

Of a transformer of L blocks, block i learns at lr * decay^(L - i), i from 0 on; what
comes before the blocks (patches, class token, registers, positions) at
lr * decay^(L + 1); the last normalisation and all heads at lr. So Clark et al.,
"ELECTRA", ICLR 2020, and for images Bao et al., "BEiT", ICLR 2022.
"""

import re
from collections.abc import Iterable

# What a transformer has, and no other network here.
_TABLE = "pos_embed"
_FIRST = re.compile(r"(cls_token|pos_embed|register_tokens|patch_embed)(/|$)")
_BLOCK = re.compile(r"block(\d+)/")


def factors(names: Iterable[str], decay: float) -> dict[str, float]:
    """Multipliers of the rate for parameters of vision transformers.

    Args:
        names: paths of all parameters, such as "backbone/block3/fc1/kernel".
        decay: factor from one block to the one before, in (0, 1].

    Returns:
        By path, for blocks and what comes before them; {} where there is no
        transformer. All others learn at the whole rate.
    """
    names, found = tuple(names), {}
    for table in names:
        prefix = table.removesuffix(_TABLE)
        if prefix == table or prefix[-1:] not in ("", "/"):
            continue
        inner = {n: n.removeprefix(prefix) for n in names if n.startswith(prefix)}
        blocks = {n: _BLOCK.match(rest) for n, rest in inner.items()}
        numbers = {n: int(block[1]) for n, block in blocks.items() if block}
        depth = 1 + max(numbers.values(), default=-1)
        first = {n: -1 for n, rest in inner.items() if _FIRST.match(rest)}
        found |= {n: decay ** (depth - i) for n, i in (first | numbers).items()}
    return found
