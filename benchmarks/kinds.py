"""What kind of work an operation of a compiled step is, by its names.

A compiled program names for each operation the path of `jax.named_scope`s and modules
in which it was written, such as

    jit(update)/transpose(jvp(CamNet))/backbone/b4/conv/gradient_of_kernel/dot_general

and what operation it is. Operations that were fused count as what their result is.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

FORWARD = "forward convolutions"
KERNELS = "gradients of kernels"
INPUTS = "gradients of inputs"
ONE_TAP = "products of 1x1 kernels"
PRODUCTS = "other matrix products"
TILES = "transforms of tiles"
NORM = "batch normalisation"
ELEMENTWISE = "ReLU, sums, elementwise"
RESIZING = "resizing"
LOSS = "random numbers, sorting, loss"
UPDATE = "update of parameters"
OTHER = "other"
KINDS = (
    *(FORWARD, KERNELS, INPUTS, ONE_TAP, PRODUCTS, TILES, NORM, ELEMENTWISE),
    *(RESIZING, LOSS, UPDATE, OTHER),
)
# Scopes and what is in them; of several the first counts.
SCOPES = {
    "optimizer": UPDATE,
    "moving_average": UPDATE,
    "transforms_of_tiles": TILES,
    "forward_tiles": FORWARD,
    "gradient_of_kernel": KERNELS,
    "gradient_of_input": INPUTS,
    "one_tap": ONE_TAP,
    "batch_norm": NORM,
    "resize": RESIZING,
}
_RANDOM = ("random", "threefry", "_uniform", "_bernoulli", "_normal", "_shuffle")
_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%?([\w.\-]+) = (?:\(.*?\)|\S+) ([\w\-]+)\((.*)$"
)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_PATH = re.compile(r'op_name="([^"]*)"')
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.\-]+)")
_OPERAND = re.compile(r"%([\w.\-]+)")
_HEAVY = ("convolution", "dot", "sort", "scatter")  # say more than a fusion's result
_DEEP = 4  # operands of operands that are asked for a path


class Operation(NamedTuple):
    """One operation of a program.

    path: where it was written; "" where the compiler does not say.
    opcode: what it does, such as "dot"; of a fusion its heaviest part's, or its
        result's.
    """

    path: str
    opcode: str


def kind(path: str, opcode: str) -> str:
    """One of KINDS.

    Args:
        path: scopes, "/" between them; of a fusion of several, ";" between these.
        opcode: the compiler's name of the operation.
    """
    path = path.partition(";")[0]
    words = re.split(r"[/()]+", path)
    for scope, found in SCOPES.items():
        if scope in words:
            return found
    backwards = "transpose(jvp" in path
    if opcode == "convolution" or "conv_general_dilated" in words:
        return FORWARD if path and not backwards else OTHER
    if opcode == "dot" or "dot_general" in words:
        return PRODUCTS
    if opcode.startswith(("sort", "rng")) or any(
        word.startswith(_RANDOM) for word in words
    ):
        return LOSS
    if not path.startswith("jit("):
        return OTHER
    # Inside of a module stands its name: jvp(CamNet)/backbone; outside jvp()/add.
    module = re.match(r"jit\(\w+\)/(?:transpose\()?jvp\(([A-Z][\w.]*)\)", path)
    return ELEMENTWISE if module else LOSS


def operations(program: str) -> dict[str, Operation]:
    """All operations by name, of a compiled program's text (`as_text()`).

    An operation without a path has that of its parts, if it is a fusion, or else of its
    operands, unless it is a product, a convolution or the like.
    """
    lines: dict[str, tuple[str, str]] = {}
    members: dict[str, list[str]] = {}
    inside: list[str] = []
    for line in program.splitlines():
        if start := _COMPUTATION.match(line):
            inside = members.setdefault(start[1], [])
        elif found := _INSTRUCTION.match(line):
            name, opcode, rest = found.groups()
            lines[name] = opcode, rest
            inside.append(name)

    def parts(name):
        """Of a fusion, the result first."""
        opcode, rest = lines[name]
        called = _CALLED.search(rest)
        if opcode != "fusion" or not called:
            return []
        return members.get(called[1], [])[::-1]

    def path(name, depth):
        """Its own, that of a part, or that of an operand so many levels away."""
        rest = lines[name][1]
        if found := _PATH.search(rest):
            return found[1]
        others = [(part, depth) for part in parts(name)]
        if depth:
            operands = _OPERAND.findall(rest.partition(")")[0])
            others += [(operand, depth - 1) for operand in operands]
        for other, depth in others:
            # Constants and parameters say nothing of what is done to them.
            if lines.get(other, ("parameter",))[0] in ("parameter", "constant"):
                continue
            if found := path(other, depth):
                return found
        return ""

    def opcode(name):
        codes = [lines[part][0] for part in parts(name)]
        heavy = [code for code in codes if code in _HEAVY]
        return (heavy or codes or [lines[name][0]])[0]

    def operation(name):
        code = opcode(name)
        # A product of what is normalised is not part of the normalisation.
        return Operation(path(name, 0 if code in _HEAVY else _DEEP), code)

    return {name: operation(name) for name in lines}


def add_up(
    seconds: Mapping[str, float], known: Mapping[str, Operation]
) -> dict[str, float]:
    """Seconds of each of KINDS.

    Args:
        seconds: what each operation took, by its name.
        known: what they are; others count as OTHER.
    """
    total = dict.fromkeys(KINDS, 0.0)
    for name, value in seconds.items():
        total[kind(*known.get(name, Operation("", "")))] += value
    return total
